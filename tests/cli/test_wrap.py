"""Words are never cut where a space could have taken the newline, and never changed."""

from __future__ import annotations

import re

from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from puna.cli.wrap import WordWrap

TEXTS = st.text(alphabet="ab \nñ字🦙", max_size=200)


def wrapped(text: str, columns: int, pieces: int = 1) -> str:
    wrap = WordWrap(columns)
    cut = [text[start : start + pieces] for start in range(0, len(text), pieces)]
    return "".join(map(wrap.push, cut)) + wrap.flush()


def test_a_line_breaks_before_the_word_that_does_not_fit() -> None:
    assert wrapped("one two three", 8) == "one two \nthree"
    assert wrapped("one two three", 7) == "one two\nthree"
    assert wrapped("one\ntwo three four", 9) == "one\ntwo three\nfour"


def test_a_word_longer_than_a_line_is_left_to_the_terminal() -> None:
    assert wrapped("a bcdefghij k", 4) == "a \nbcdefghij k"


def test_chinese_breaks_anywhere() -> None:
    assert wrapped("字字字", 4) == "字字\n字"


def test_only_a_word_under_way_is_held_back() -> None:
    wrap = WordWrap(80)
    assert [wrap.push(piece) for piece in ("He", "llo", " wor", "ld\n", "字")] == [
        "",
        "",
        "Hello ",
        "world\n",
        "字",
    ]


@given(TEXTS, st.integers(2, 12))
def test_only_white_space_changes_and_lines_fit(text: str, columns: int) -> None:
    shown = wrapped(text, columns)
    assert "".join(shown.split()) == "".join(text.split())
    for line in shown.split("\n"):
        words = re.split("[ 字🦙]", line)
        assert cell_len(line) <= columns or max(map(cell_len, words)) > columns


@given(TEXTS, st.integers(2, 12), st.integers(1, 7))
def test_pieces_do_not_matter(text: str, columns: int, pieces: int) -> None:
    assert wrapped(text, columns, pieces) == wrapped(text, columns)
