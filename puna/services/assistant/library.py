"""The passages of every file: kept with their words and meanings, opened, searched.

In: passages under a file's id; later a question and a select of files.  Out: passages that answer.
Does not know whose file it is, nor its name: the select that is handed in does.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import Any

from sqlalchemy import JSON, ForeignKey, Integer, LargeBinary, Select, Text, func, select
from sqlalchemy.orm import Mapped, Session, mapped_column

from puna.accounts.schema import Base, RowNumber
from puna.services.assistant.indexes import PASSAGE_WORDS as WORDS
from puna.services.assistant.owner import found
from puna.services.assistant.passages import Passage, Place
from puna.services.assistant.ranking import Embedder, bm25, fused, nearness, question_words
from puna.services.assistant.words import Term, folded_words, stem

MOST_CANDIDATES = 1_000  # passages with a word of the question that are scored

Vectors = Sequence[bytes | None]
OfFile = tuple[str, Passage]  # a file's id, and a passage of it


class PassageRow(Base):
    """One passage."""

    __tablename__ = "assistant_passages"

    number: Mapped[int] = mapped_column(RowNumber, primary_key=True)
    file_id: Mapped[str] = mapped_column(
        ForeignKey("assistant_files.id", ondelete="CASCADE"), index=True
    )
    ordinal: Mapped[int] = mapped_column(Integer)
    text: Mapped[str] = mapped_column(Text)
    heading: Mapped[str] = mapped_column(Text)
    place: Mapped[Any] = mapped_column(JSON)
    line_numbers: Mapped[Any] = mapped_column(JSON)
    words: Mapped[int] = mapped_column(Integer)
    embedding: Mapped[bytes | None] = mapped_column(LargeBinary)

    def passage(self) -> Passage:
        """Return it as plain data."""
        place, numbers = Place(**self.place), tuple(self.line_numbers)
        return Passage(self.ordinal, self.text, place, self.heading, numbers)


class Library:
    """Keeps and finds passages; every call but `vectors` is a part of a transaction."""

    def __init__(self, embedder: Embedder | None = None) -> None:
        self._embedder = embedder

    def vectors(self, passages: Sequence[Passage]) -> Vectors:
        """Return what each passage means, packed; takes its time, so before any transaction."""
        if self._embedder is None:
            return [None] * len(passages)
        return [_packed(one) for one in self._embedder.embed([p.text for p in passages])]

    def keep(
        self, session: Session, file_id: str, passages: Sequence[Passage], vectors: Vectors
    ) -> None:
        """Keep a file's passages and index their words."""
        rows = [
            _row(file_id, passage, vector)
            for passage, vector in zip(passages, vectors, strict=True)
        ]
        session.add_all(rows)
        session.flush()
        for row in rows:
            WORDS.put(session, row.number, f"{row.heading} {row.text}")

    def passage(self, session: Session, file_id: str, ordinal: int) -> Passage:
        """Return one passage of a file; NotFoundError where it has fewer."""
        query = select(PassageRow).where(
            PassageRow.file_id == file_id, PassageRow.ordinal == ordinal
        )
        row: PassageRow = found(session, query, "passage", str(ordinal))
        return row.passage()

    def search(
        self, session: Session, files: Select[Any], question: str, limit: int
    ) -> list[OfFile]:
        """Return the passages of these files that answer best."""
        candidates = _candidates(session, files, question)
        orders = [_by_words(session, files, question, candidates)]
        if self._embedder is not None:
            orders.append(_by_meaning(session, files, self._embedder.embed([question])[0]))
        return _opened(session, fused(*orders)[:limit])

    def beginning(self, session: Session, files: Select[Any], limit: int) -> list[OfFile]:
        """Return the first passages of these files, file by file."""
        query = select(PassageRow.number).where(PassageRow.file_id.in_(files))
        query = query.order_by(PassageRow.file_id, PassageRow.ordinal).limit(limit)
        return _opened(session, session.scalars(query).all())

    def mend(self, session: Session) -> int:
        """Index the passages that are not: a restored copy brings none.  Return how many."""
        numbers = WORDS.missing(session, PassageRow.__tablename__)
        for number in numbers:
            row = session.get_one(PassageRow, number)
            WORDS.put(session, number, f"{row.heading} {row.text}")
        return len(numbers)


def _row(file_id: str, passage: Passage, vector: bytes | None) -> PassageRow:
    return PassageRow(
        file_id=file_id,
        ordinal=passage.ordinal,
        text=passage.text,
        heading=passage.heading,
        place=vars(passage.place),
        line_numbers=list(passage.line_numbers),
        words=len(folded_words(passage.text)),
        embedding=vector,
    )


def _opened(session: Session, numbers: Sequence[int]) -> list[OfFile]:
    """Return the passages with these numbers, in this order."""
    query = select(PassageRow).where(PassageRow.number.in_(numbers))
    by_number = {row.number: (row.file_id, row.passage()) for row in session.scalars(query)}
    return [by_number[number] for number in numbers]


def _candidates(session: Session, files: Select[Any], question: str) -> dict[int, str]:
    """Return passages with a word of the question, in whatever number it stands there."""
    wanted = [Term((stem(word),), prefix=True) for word in question_words(question)]
    if not wanted:
        return {}
    match = WORDS.any_of(session, wanted)
    query = (
        select(PassageRow.number, PassageRow.heading, PassageRow.text)
        .join(match, match.c.number == PassageRow.number)
        .where(PassageRow.file_id.in_(files))
        .order_by(match.c.rank)
        .limit(MOST_CANDIDATES)
    )
    return {number: f"{heading} {text}" for number, heading, text in session.execute(query)}


def _by_words(
    session: Session, files: Select[Any], question: str, candidates: dict[int, str]
) -> list[int]:
    query = select(func.count(PassageRow.number), func.avg(PassageRow.words))
    total, mean = session.execute(query.where(PassageRow.file_id.in_(files))).one()
    scores = bm25(question, candidates, total=int(total), mean_words=float(mean or 0))
    return sorted(scores, key=lambda number: (-scores[number], number))


def _by_meaning(session: Session, files: Select[Any], wanted: Sequence[float]) -> list[int]:
    query = select(PassageRow.number, PassageRow.embedding).where(
        PassageRow.file_id.in_(files), PassageRow.embedding.is_not(None)
    )
    near = {
        number: nearness(wanted, _unpacked(vector)) for number, vector in session.execute(query)
    }
    return sorted(near, key=lambda number: (-near[number], number))


def _packed(vector: Sequence[float]) -> bytes:
    return struct.pack(f"<{len(vector)}f", *vector)


def _unpacked(data: bytes | None) -> tuple[float, ...]:
    assert data is not None, "asked for rows that have one"
    return struct.unpack(f"<{len(data) // 4}f", data)
