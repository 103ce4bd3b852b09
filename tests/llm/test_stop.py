"""Stop strings: never emitted, never too late, however the text is cut."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from puna.llm.stop import StopStrings

texts = st.text(alphabet="abc ", max_size=40)
stop_strings = st.lists(st.text(alphabet="abc ", min_size=1, max_size=6), min_size=1, max_size=4)


def pieces(text: str, cuts: list[int]) -> list[str]:
    places = [0, *sorted(cut % (len(text) + 1) for cut in cuts), len(text)]
    return [text[a:b] for a, b in pairwise(places)]


def expected(text: str, stops: list[str]) -> str:
    """The text before the stop string that is complete first; of several, the longest."""
    for end in range(1, len(text) + 1):
        ending = [s for s in stops if text[:end].endswith(s)]
        if ending:
            return text[: end - max(map(len, ending))]
    return text


@given(texts, stop_strings, st.lists(st.integers(0, 40)))
def test_the_text_ends_before_the_first_stop_however_it_is_cut(
    text: str, stops: list[str], cuts: list[int]
) -> None:
    watcher = StopStrings(tuple(stops))
    said = "".join(watcher.push(piece) for piece in pieces(text, cuts)) + watcher.flush()
    assert said == expected(text, stops)
    assert watcher.hit == any(s in text for s in stops)


@given(texts, stop_strings, st.lists(st.integers(0, 40)))
def test_only_what_may_become_a_stop_is_held_back(
    text: str, stops: list[str], cuts: list[int]
) -> None:
    watcher, pushed, said = StopStrings(tuple(stops)), "", ""
    for piece in pieces(text, cuts):
        pushed += piece
        said += watcher.push(piece)
        if watcher.hit:
            break
        held = pushed[len(said) :]
        assert pushed == said + held
        assert not held or any(s.startswith(held) and s != held for s in stops)
        assert not any(
            pushed.endswith(s[:size]) for s in stops for size in range(len(held) + 1, len(s))
        )


def test_without_stops_everything_passes() -> None:
    watcher = StopStrings(())
    assert watcher.push("abc") == "abc"
    assert watcher.flush() == ""
    assert not watcher.hit


def test_after_a_stop_nothing_passes() -> None:
    watcher = StopStrings(("\n",))
    assert watcher.push("a\nb") == "a"
    assert watcher.push("c") == ""
    assert watcher.flush() == ""
