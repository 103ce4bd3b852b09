"""The responses that are being made, by tenant and id: seen, followed, ended.

In: turns and their jobs.  Out: how far each is.  Those made in the background can
be followed a while beyond their end, as long as there is room.  Knows no HTTP.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from puna.errors import PunaError
from puna.server.job import Job
from puna.server.record import Record
from puna.server.responses.items import Object
from puna.services.responses import Responses

if TYPE_CHECKING:
    from puna.server.responses.turn import Turn

# Ended ones that can still be followed, each some hundred kilobytes in memory.
MOST_OF_TENANT = 32
MOST = 256

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

    async def heed(self, kept: Responses) -> None:
        """End those in the background that another process cancelled or deleted."""
        mine = {key[1]: key for key, (turn, _) in self._turns.items() if turn.body.background}
        for response_id in await asyncio.to_thread(kept.unwanted, list(mine)) if mine else ():
            self.cancel(*mine[response_id])

    def record(self, turn: Turn) -> Record[Object]:
        """Begin the record of a turn's events; ended ones make room."""
        self._make_room(turn.tenant_id)
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

    def _make_room(self, tenant_id: str) -> None:
        """Drop the tenant's own oldest ended record, or where all have many, that of who has most.

        So nobody's are dropped for the sake of a tenant that keeps more.
        """
        ended = [key for key in self._records if key not in self._turns]
        kept = Counter(tenant for tenant, _ in ended)
        if kept[tenant_id] >= MOST_OF_TENANT:
            self._drop_oldest(ended, tenant_id)
        elif len(ended) >= MOST:
            self._drop_oldest(ended, max(kept, key=kept.__getitem__))

    def _drop_oldest(self, ended: list[Key], tenant_id: str) -> None:
        del self._records[next(key for key in ended if key[0] == tenant_id)]
