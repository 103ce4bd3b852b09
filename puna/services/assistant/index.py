"""An index of words beside a table: FTS5 on SQLite, a tsvector on PostgreSQL.

In: a row's number and its text.  Out: the numbers of rows that match, best first.
Does not know whose rows they are: who asks joins the table that does.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import (
    BigInteger,
    ColumnClause,
    Float,
    Select,
    Subquery,
    column,
    delete,
    text,
)
from sqlalchemy import table as sql_table
from sqlalchemy.orm import Session

from puna.accounts.sqlite import overwrite_deleted
from puna.services.assistant.words import Term, folded_words

_MOST_POSITION = 16_383  # a tsvector's last position; words after it share it
_WORKED = 2  # changes that a merge counts at least where it wrote anything


class WordIndex:
    """The words of one table's rows."""

    def __init__(self, table: str) -> None:
        self._table = table

    def put(self, session: Session, number: int, content: str) -> None:
        """Index a row anew."""
        name = "rowid" if _is_sqlite(session) else "number"
        session.execute(text(f"DELETE FROM {self._table} WHERE {name} = :n"), {"n": number})
        self.add(session, {number: " ".join(folded_words(content))})

    def add(self, session: Session, folded: Mapping[int, str]) -> None:
        """Index new rows: by their numbers, words as words.py folds them, with spaces between."""
        if _is_sqlite(session):
            add = f"INSERT INTO {self._table} (rowid, words) VALUES (:number, :words)"
            rows = [{"number": n, "words": words} for n, words in folded.items()]
        else:
            add = f"INSERT INTO {self._table} (number, words) VALUES (:number, CAST(:words AS tsvector))"  # noqa: E501
            rows = [{"number": n, "words": _vector(w.split())} for n, w in folded.items()]
        if rows:
            session.execute(text(add), rows)

    def forget(self, session: Session, numbers: Select[Any]) -> None:
        """Let nobody find these rows any more; `rewrite` takes their words out of the file.

        Call it before the rows go.  PostgreSQL's foreign key does it by itself.
        """
        if _is_sqlite(session):
            rowid: ColumnClause[int] = column("rowid", BigInteger)
            session.execute(delete(sql_table(self._table, rowid)).where(rowid.in_(numbers)))

    def rewrite(self, session: Session, pages: int) -> bool:
        """Write some pages of the index anew without what was forgotten; say if more are left.

        A first call with a negative number begins.  FTS5 only notes beside the words that a row
        is gone, until its segments are merged (sqlite.org/fts5.html#the_merge_command); a trigger
        cannot do it, for connections trust no schema.
        """
        if not _is_sqlite(session):
            return False
        overwrite_deleted(session)
        changes = text("SELECT total_changes()")
        before = session.scalar(changes)
        merge = f"INSERT INTO {self._table} ({self._table}, rank) VALUES ('merge', :pages)"
        session.execute(text(merge), {"pages": pages})
        return int(session.scalar(changes) or 0) - int(before or 0) >= _WORKED

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
