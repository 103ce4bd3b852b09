"""An index of words beside a table: FTS5 on SQLite, a tsvector on PostgreSQL.

In: a row's number and its text.  Out: the numbers of rows that match, best first.
Does not know whose rows they are: who asks joins the table that does.
"""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import BigInteger, Float, Subquery, column, text
from sqlalchemy.orm import Session

from puna.services.assistant.words import Term, folded_words

_MOST_POSITION = 16_383  # a tsvector's last position; words after it share it


class WordIndex:
    """The words of one table's rows."""

    def __init__(self, table: str) -> None:
        self._table = table

    def put(self, session: Session, number: int, content: str) -> None:
        """Index a row anew."""
        found = folded_words(content)
        if _is_sqlite(session):
            remove = f"DELETE FROM {self._table} WHERE rowid = :number"
            add = f"INSERT INTO {self._table} (rowid, words) VALUES (:number, :words)"
            written = " ".join(found)
        else:
            remove = f"DELETE FROM {self._table} WHERE number = :number"
            add = f"INSERT INTO {self._table} (number, words) VALUES (:number, CAST(:words AS tsvector))"  # noqa: E501
            written = _vector(found)
        session.execute(text(remove), {"number": number})
        session.execute(text(add), {"number": number, "words": written})

    def missing(self, session: Session, rows: str) -> list[int]:
        """Return the numbers of the rows that are not indexed: a restored copy has no index."""
        number = "rowid" if _is_sqlite(session) else "number"
        absent = (
            f"SELECT number FROM {rows} WHERE number NOT IN (SELECT {number} FROM {self._table})"
        )
        return list(session.scalars(text(absent)))

    def all_of(self, session: Session, wanted: Sequence[Term]) -> Subquery:
        """Rows (number, rank) that hold every term."""
        return self._matching(session, wanted, every=True)

    def any_of(self, session: Session, wanted: Sequence[Term]) -> Subquery:
        """Rows (number, rank) that hold at least one term."""
        return self._matching(session, wanted, every=False)

    def _matching(self, session: Session, wanted: Sequence[Term], *, every: bool) -> Subquery:
        if _is_sqlite(session):
            query = (" AND " if every else " OR ").join(map(_fts5, wanted))
            sql = (
                f"SELECT rowid AS number, bm25({self._table}) AS rank "
                f"FROM {self._table} WHERE {self._table} MATCH :wanted"
            )
        else:
            query = (" & " if every else " | ").join(map(_tsquery, wanted))
            sql = (
                f"SELECT number, -ts_rank(words, CAST(:wanted AS tsquery)) AS rank "
                f"FROM {self._table} WHERE words @@ CAST(:wanted AS tsquery)"
            )
        columns = (column("number", BigInteger), column("rank", Float))
        return text(sql).bindparams(wanted=query).columns(*columns).subquery()


def sweep(session: Session) -> None:
    """Have SQLite overwrite what the transaction deletes; PostgreSQL's vacuum does it itself."""
    if _is_sqlite(session):
        session.execute(text("PRAGMA secure_delete = ON"))


def forget_gone(session: Session, index: str, rows: str) -> None:
    """Drop the words of rows that are gone and write the index anew, so that no byte stays.

    PostgreSQL's foreign key has done it.  FTS5 cannot be reached by a trigger: connections trust
    no schema.  Takes about a second where 100,000 rows are indexed.
    """
    if _is_sqlite(session):
        gone = f"DELETE FROM {index} WHERE rowid NOT IN (SELECT number FROM {rows})"
        session.execute(text(gone))
        session.execute(text(f"INSERT INTO {index} ({index}) VALUES ('optimize')"))


def _is_sqlite(session: Session) -> bool:
    return session.get_bind().dialect.name == "sqlite"


# Folded words are letters and digits alone, so nothing in them ends a quotation.


def _fts5(term: Term) -> str:
    return f'"{" ".join(term.words)}"{" *" if term.prefix else ""}'


def _tsquery(term: Term) -> str:
    parts = [f"'{word}'" for word in term.words]
    return f"({' <-> '.join(parts)}{':*' if term.prefix else ''})"


def _vector(found: Sequence[str]) -> str:
    return " ".join(
        f"'{word}':{min(place, _MOST_POSITION)}" for place, word in enumerate(found, start=1)
    )
