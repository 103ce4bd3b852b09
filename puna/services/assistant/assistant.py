"""The assistant of one installation: its nouns, wired to one store.

In: a store and limits.  Out: conversations, messages, presets, memory, files, tools as one value.
Knows no route; `answer.py` runs a turn on it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial

from puna.accounts.schema import Clock, utc_now
from puna.accounts.store import Store
from puna.services.assistant.archive import Archive
from puna.services.assistant.bundle import Bundles
from puna.services.assistant.conversations import Conversations
from puna.services.assistant.files import Files
from puna.services.assistant.finding import Finding
from puna.services.assistant.indexes import EVERY_INDEX
from puna.services.assistant.limits import Limits
from puna.services.assistant.memory import Memory
from puna.services.assistant.messages import Messages
from puna.services.assistant.presets import Presets
from puna.services.assistant.ranking import Embedder
from puna.services.assistant.sweeper import Sweeper
from puna.services.assistant.tools.calculator import Calculator
from puna.services.assistant.tools.calls import CallLog
from puna.services.assistant.tools.dates import Dates
from puna.services.assistant.tools.remember import Remember
from puna.services.assistant.tools.remote import RemoteTools
from puna.services.assistant.tools.search_files import SearchFiles
from puna.services.assistant.tools.servers import ToolServers
from puna.services.assistant.tools.tool import Tool
from puna.services.assistant.tools.toolbox import Toolbox
from puna.services.assistant.under_way import UnderWay


class Assistant:
    """Everything that a page of the assistant asks."""

    def __init__(
        self,
        store: Store,
        *,
        limits: Limits | None = None,
        embedder: Embedder | None = None,
        clock: Clock = utc_now,
        lapsed: Callable[[str], None] = lambda _: None,  # work in the background failed
    ) -> None:
        self.store, self.clock, self.limits = store, clock, limits or Limits()
        talks = self.limits.talks
        self._sweeper = Sweeper(store, EVERY_INDEX, partial(lapsed, "sweep"))
        self.conversations = Conversations(store, clock, self._sweeper.wake, talks)
        self.messages = Messages(store, clock, talks)
        self.under_way = UnderWay(store, self.messages, clock)
        self.finding = Finding(store)
        self.archive = Archive(store, clock, talks)
        self.presets = Presets(store, clock)
        self.memory = Memory(store, clock)
        self.files = Files(store, self.limits.files, embedder, clock, self._sweeper.wake)
        self.bundles = Bundles(store, self.archive, self.files, self.limits.import_bytes)
        self.servers = ToolServers(store, clock)
        self.calls = CallLog(store, clock, self.limits.call_lines)
        self.remote = RemoteTools(self.servers)
        own: list[Tool] = [
            Calculator(),
            Dates(clock),
            SearchFiles(self.files),
            Remember(self.memory),
        ]
        self.toolbox = Toolbox(own, self.remote, self.calls)

    def mend(self) -> None:
        """Put right what a crash or a restored copy left; call it once, at the start."""
        self.under_way.mend()
        self.finding.mend()
        self.bundles.mend()
        self.files.mend()
        self._sweeper.wake()

    async def close(self) -> None:
        """End the tool servers' connections and the sweep; the store stays open."""
        await self.remote.close()
        await asyncio.to_thread(self._sweeper.close)
