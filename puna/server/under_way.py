"""The responses that are being made, by tenant and id: seen, followed, ended.

In: turns and their jobs.  Out: how far each is.  Those made in the background can
be followed a while beyond their end.  Knows no HTTP.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from puna.errors import PunaError
from puna.server.job import Job
from puna.server.record import Record
from puna.server.response_items import Object

if TYPE_CHECKING:
    from puna.server.response_turn import Turn

MOST_ENDED = 32  # that can still be followed

Key = tuple[str, str]  # tenant, response


class ResponseCancelledError(PunaError):
    """Its tenant has asked for the end of a response under way."""


class UnderWay:
    """All tenants' responses of one server."""

    def __init__(self) -> None:
        self._turns: dict[Key, tuple[Turn, Job]] = {}
        self._records: dict[Key, Record[Object]] = {}

    @contextmanager
    def noting(self, turn: Turn, job: Job) -> Iterator[None]:
        """Keep a turn findable while it is made; one that is already, stays until its own end."""
        known = turn.key in self._turns
        self._turns.setdefault(turn.key, (turn, job))
        try:
            yield
        finally:
            if not known:
                self._turns.pop(turn.key, None)  # None: it was forgotten

    def find(self, tenant_id: str, response_id: str) -> Object | None:
        """Return a response as far as it is."""
        found = self._turns.get((tenant_id, response_id))
        return found and found[0].draft.response

    def cancel(self, tenant_id: str, response_id: str) -> bool:
        """End a response under way; False where there is none."""
        found = self._turns.get((tenant_id, response_id))
        if found is not None:
            found[1].interrupt(ResponseCancelledError("the response was cancelled"))
        return found is not None

    def record(self, turn: Turn) -> Record[Object]:
        """Begin the record of a turn's events; the oldest ended ones make room."""
        ended = [key for key in self._records if key not in self._turns]
        for key in ended[: max(0, len(ended) - MOST_ENDED + 1)]:
            del self._records[key]
        record = self._records[turn.key] = Record()
        return record

    def recorded(self, tenant_id: str, response_id: str) -> Record[Object] | None:
        """Return the events of a response that is made in the background, or was just now."""
        return self._records.get((tenant_id, response_id))

    def forget(self, tenant_id: str, response_id: str) -> None:
        """End one that is made in the background and is to be deleted, and drop its events."""
        if self._records.pop((tenant_id, response_id), None) is not None:
            self.cancel(tenant_id, response_id)
            self._turns.pop((tenant_id, response_id), None)
