"""Models lent for work on text alone, which nobody is charged for.

In: a caller and a model's name.  Out: a lease of the model.  Such work takes a place like any
request, and each tenant's is done one after the other: it shares two threads with the prompts of
everybody's answers, which must not wait behind what one tenant has piled up.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from weakref import WeakValueDictionary

from puna.accounts import Caller
from puna.llm import LLM
from puna.llm.models import Models
from puna.server.gate import Gate


class Texts:
    """Who works on text now."""

    def __init__(self, models: Models, gate: Gate) -> None:
        self._models, self._gate = models, gate
        self._turns: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()  # by tenant

    @asynccontextmanager
    async def lend(self, caller: Caller, model: str) -> AsyncIterator[LLM]:
        """Lend a model when it is the tenant's turn.

        Raises ForbiddenError for a model outside the plan, OverloadError where no place is left,
        and whatever loading raises.
        """
        caller.plan.check_model(model)
        turn = self._turns.setdefault(caller.tenant_id, asyncio.Lock())
        self._gate.enter(caller.tenant_id)
        try:
            async with turn, self._models.lease_async(model) as llm:
                yield llm
        finally:
            self._gate.leave(caller.tenant_id)
