"""A witness at the engine's door: what it really made, whatever the books say.

In: a server's models.  Out: tokens by tenant, counted from the engine's emissions alone.
"""

from __future__ import annotations

from typing import Any

from puna.chat import Usage
from puna.engine import Emission, Ticket
from puna.engine.loop import Outbox
from puna.llm import LLM
from puna.llm.cards import ModelCard
from puna.llm.models import Models
from puna.llm.prepared import Prepared


class Seen:
    """One request's emissions, counted and passed on."""

    def __init__(self, tenant_id: str, box: Outbox) -> None:
        self.tenant_id, self._box = tenant_id, box
        self._prompt = self._cached = self._said = 0

    @property
    def usage(self) -> Usage:
        return Usage(self._prompt, self._said, min(self._cached, self._prompt))

    def put(self, emission: Emission, /) -> None:
        """Count each token where it is said."""
        self._said += (emission.token_id is not None) + (emission.stop_token_id is not None)
        self._prompt = max(self._prompt, emission.prefilled_tokens or 0)
        if emission.index == 0 and emission.stats is not None:
            self._cached = emission.stats.cached_tokens
        self._box.put(emission)


class WitnessedLLM(LLM):
    """An LLM that writes down what its engine says to each tenant; `seen` is given to it."""

    seen: list[Seen]

    def begin(self, prepared: Prepared, outbox: Outbox | None = None) -> Ticket:
        """Listen to requests of tenants; the server's own probes have none."""
        tenant_id = prepared.request.tenant
        if outbox is None or not tenant_id:
            return super().begin(prepared, outbox)
        self.seen.append(Seen(tenant_id, outbox))
        return super().begin(prepared, self.seen[-1])


class WitnessedModels(Models):
    """Models whose LLMs are witnessed."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.seen: list[Seen] = []

    def used(self, tenant_id: str) -> Usage:
        """Return what the engines counted for a tenant."""
        usages = [one.usage for one in list(self.seen) if one.tenant_id == tenant_id]
        return Usage(
            sum(usage.prompt_tokens for usage in usages),
            sum(usage.completion_tokens for usage in usages),
            sum(usage.cached_tokens for usage in usages),
        )

    def _opened(self, slot: Any) -> LLM:
        card: ModelCard = slot.card
        given = self.settings
        llm = WitnessedLLM(
            card.path, context_tokens=card.context, threads=given.threads, settings=given.engine
        )
        llm.seen = self.seen
        return llm
