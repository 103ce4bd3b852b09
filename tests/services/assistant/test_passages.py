from __future__ import annotations

import itertools

from puna.services.assistant.passages import LONGEST_LINE, WORDS, Place, cut
from puna.services.assistant.reading import Document, Line


def lines(count: int, words: int = 10) -> tuple[Line, ...]:
    return tuple(Line(f"l{n} " + "word " * (words - 1), line=n) for n in range(1, count + 1))


def test_every_line_stands_in_a_passage_and_passages_overlap() -> None:
    document = Document("text", lines(100))
    passages = list(cut(document))
    assert [p.ordinal for p in passages] == list(range(1, len(passages) + 1))
    seen = {n for p in passages for n in range(p.place.first_line, p.place.last_line + 1)}
    assert seen == set(range(1, 101))
    for before, after in itertools.pairwise(passages):
        assert before.place.first_line < after.place.first_line <= before.place.last_line
    assert all(len(p.text.split()) <= WORDS for p in passages)


def test_a_passages_place_is_exact() -> None:
    document = Document("text", lines(40))
    for passage in cut(document):
        assert passage.text.split()[0] == f"l{passage.place.first_line}"
        assert passage.text.splitlines()[-1].split()[0] == f"l{passage.place.last_line}"
        assert [f"l{n}" for n in passage.line_numbers] == [
            line.split()[0] for line in passage.text.splitlines()
        ]


def test_no_passage_crosses_a_page() -> None:
    document = Document(
        "pdf",
        (Line("one", line=1, page=1), Line("two", line=2, page=1), Line("x", line=1, page=2)),
        2,
    )
    assert [p.place for p in cut(document)] == [Place(1, 2, page=1), Place(1, 1, page=2)]
    assert [p.place.shown() for p in cut(document)] == ["page 1, lines 1-2", "page 2, line 1"]


def test_a_heading_begins_a_passage_when_the_one_before_has_enough() -> None:
    under = [
        *(Line("word " * 10, line=n, heading="A") for n in range(1, 9)),
        Line("b", line=9, heading="B"),
    ]
    assert [p.heading for p in cut(Document("markdown", tuple(under)))] == ["A", "B"]


def test_rows_are_not_repeated() -> None:
    rows = tuple(Line("word " * 20, line=n, row=n) for n in range(1, 21))
    places = [p.place for p in cut(Document("table", rows))]
    assert [(p.first_row, p.last_row) for p in places] == [(1, 8), (9, 16), (17, 20)]
    assert places[0].shown() == "rows 1-8"


def test_a_line_without_end_is_cut() -> None:
    passages = list(cut(Document("text", (Line("word " * 5_000, line=7),))))
    assert len(passages) > 5
    assert all(len(p.text) <= LONGEST_LINE for p in passages)
    assert {p.place for p in passages} == {Place(7, 7)}
    assert sum(p.text.count("word") for p in passages) >= 5_000
