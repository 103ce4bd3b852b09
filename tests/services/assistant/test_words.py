from __future__ import annotations

import pytest

from puna.services.assistant.words import Term, folded_words, snippet, stem, terms


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Größe, café!", ["grosse", "cafe"]),
        ("file_name-2.txt", ["file", "name", "2", "txt"]),
        ("cafe\u0301 au lait", ["cafe", "au", "lait"]),
        ("東京tower", ["東", "京", "tower"]),
        ("ＡＢＣ", ["abc"]),  # noqa: RUF001
        ("x" * 200, ["x" * 64]),
        ("' OR 1=1 --", ["or", "1", "1"]),
        ("…", []),
    ],
)
def test_words_are_folded(text: str, expected: list[str]) -> None:
    assert folded_words(text) == expected


def test_a_term_of_several_words_is_a_phrase_and_the_last_may_go_on() -> None:
    assert terms("low-cost fli") == [Term(("low", "cost")), Term(("fli",), prefix=True)]
    assert terms("done ") == [Term(("done",))]


@pytest.mark.parametrize(
    ("word", "stemmed"),
    [
        ("contracts", "contract"),
        ("policies", "policy"),
        ("gas", "gas"),
        ("class", "class"),
        ("shoes", "shoes"),
    ],
)
def test_plurals_are_taken_off(word: str, stemmed: str) -> None:
    assert stem(word) == stemmed


def test_a_snippet_marks_what_was_searched_for() -> None:
    text = "nothing here " * 30 + "the Größe of it\nmatters " + "and so on " * 30
    found = snippet(text, terms("grosse mat"))
    assert [found.text[start:end] for start, end in found.marks] == ["Größe", "matters"]
    assert found.text.startswith("…")
    assert found.text.endswith("…")
    assert "\n" not in found.text
    assert len(found.text) < 220


def test_a_text_without_the_words_shows_its_beginning() -> None:
    assert snippet("One short line.", terms("other")).text == "One short line."
