"""Answers under way: each is given by one process, and over when that is gone.

In: a store that several processes may share.  Out: answers reopened or renewed here, or marked as
broken.
Does not know how an answer is made; of another machine's process it knows only its silence.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy import exists, select, update
from sqlalchemy.orm import aliased

from puna.accounts import holder
from puna.accounts.schema import Clock, utc_now
from puna.accounts.store import Store
from puna.errors import ConflictError
from puna.services.assistant.entry import Entry, MessageRow, Outcome
from puna.services.assistant.indexes import MESSAGE_WORDS as WORDS
from puna.services.assistant.messages import Messages
from puna.services.assistant.owner import Owner

LEASE = timedelta(seconds=60)  # whoever was not heard of for so long is gone
RENEW_S = 15.0
CUT: tuple[Outcome, ...] = ("length", "repeated", "stopped", "broken")  # such an answer may go on
STOPPED = "Puna stopped while this was being answered"


class UnderWay:
    """The running answers of every process on one database."""

    def __init__(self, store: Store, messages: Messages, clock: Clock = utc_now) -> None:
        self._store, self._messages, self._clock = store, messages, clock

    def reopen(self, owner: Owner, conversation_id: str, answer_id: str) -> Entry:
        """Let an answer that was cut go on, and return it as it stands; once, whoever else asks.

        ConflictError where it is whole, is being given, or more was said after it.
        """
        row, later = MessageRow, aliased(MessageRow)
        with self._store.write() as session:
            entry = self._messages.get(owner, answer_id)
            reopened = session.execute(
                update(row)
                .where(row.id == answer_id, row.conversation_id == conversation_id)
                .where(row.outcome.in_(CUT), row.text != "")
                .where(~exists().where(later.parent_id == answer_id))
                .values(
                    outcome="running",
                    error="",
                    holder=holder.this_process(),
                    renewed_at=self._clock(),
                )
                .returning(row.id),
                execution_options={"synchronize_session": False},
            )
            if reopened.first() is None:
                raise ConflictError("this answer cannot go on: it is whole, or more was said since")
            self._messages.choose_branch(owner, conversation_id, answer_id)
        self._messages.given_here.add(answer_id)
        return entry

    def keep(self) -> None:
        """Be heard of, and end what others left; call it every RENEW_S."""
        self.renew()
        self.mend()

    def renew(self) -> None:
        """Say that the answers of this process are still being given."""
        if given_here := sorted(self._messages.given_here):
            with self._store.write() as session:
                mine = update(MessageRow).where(MessageRow.id.in_(given_here))
                session.execute(mine.values(renewed_at=self._clock()))

    def mend(self) -> int:
        """Mark the answers of processes that are gone as broken, their words kept; how many."""
        running = select(MessageRow).where(MessageRow.outcome == "running")
        stale = self._clock() - LEASE
        with self._store.read() as session:
            left = [row.id for row in session.scalars(running) if _is_left(row, stale)]
        if not left:
            return 0
        with self._store.write() as session:
            rows = session.scalars(running.where(MessageRow.id.in_(left)).with_for_update()).all()
            for row in rows:
                row.outcome, row.error = "broken", STOPPED
                WORDS.put(session, row.number, row.text)
            return len(rows)


def _is_left(row: MessageRow, stale: datetime) -> bool:
    if row.holder is None or row.renewed_at is None:
        return True
    return row.renewed_at <= stale or holder.is_gone(row.holder)
