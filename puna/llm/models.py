"""Several models behind one name each: loaded when asked for, within a budget of memory.

In: names.  Out: leases of loaded models, from any thread or an event loop.
Knows no request and no caller.

One model is loaded at a time, on a thread of its own, while the others go on
answering.  What is asked for but does not fit takes the place of the least
recently used models that nobody has leased.  A lease counts from the moment
it is asked for, so a model that was just loaded for somebody cannot be
unloaded before it is used.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Iterator, Mapping
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from types import TracebackType
from typing import Self

from puna.engine import EngineSettings
from puna.errors import EngineError, ModelUnavailableError
from puna.formats.store import ModelStore
from puna.kernels import KvType
from puna.llm.cards import Cards, ModelCard
from puna.llm.llm import LLM
from puna.llm.memory import memory_for_models

RETRY_S = 5.0  # a model of some hundred megabytes is there by then


@dataclass(frozen=True)
class ModelSettings:
    """How each model is opened, and what all may take together; None as in `LLM`."""

    budget_bytes: int | None = None  # weights with keys and values; None = a share of the memory
    wait_s: float = 60.0  # for a model that is not there yet
    context_tokens: int | None = None  # less for a model that was trained for less
    kv_tokens: int | None = None
    threads: int | None = None
    isa: str | None = None
    engine: EngineSettings | None = None
    reference: bool = False
    packed_cache: bool = True
    kv_type: KvType = "f16"


@dataclass(eq=False)
class _Slot:
    """One model's place in memory, from the moment that somebody asks for it."""

    card: ModelCard
    loading: Future[LLM] = field(default_factory=Future)
    share: float = 0.0  # of its weights that are in memory
    leases: int = 0  # given out or waited for
    used: int = 0  # higher = more recently

    @property
    def loaded(self) -> bool:
        return self.loading.done()

    def tell(self, done_bytes: int, total_bytes: int | None) -> None:
        """Hear how far its loading is."""
        self.share = done_bytes / total_bytes if total_bytes else 0.0


class Models:
    """The models of a store, and aliases for them: another name -> a name or a path."""

    def __init__(
        self,
        store: ModelStore,
        settings: ModelSettings | None = None,
        aliases: Mapping[str, str | Path] | None = None,
    ) -> None:
        self.settings = settings or ModelSettings()
        self.budget_bytes = self.settings.budget_bytes or memory_for_models()
        self._cards = Cards(
            store,
            aliases or {},
            context_tokens=self.settings.context_tokens,
            kv_tokens=self.settings.kv_tokens,
        )
        self._slots: dict[Path, _Slot] = {}  # by path: aliases share one
        self._changed = threading.Condition()
        self._uses = count(1)
        self._open = True
        self._loader = ThreadPoolExecutor(1, "puna-load")

    def names(self) -> list[ModelCard]:
        """Every model that can be asked for; reads headers, so not for an event loop."""
        return self._cards.all()

    def card(self, name: str) -> ModelCard:
        """Return one model's card; ModelNotFoundError with a suggestion, or a ModelFileError."""
        return self._cards.get(name)

    def loaded(self) -> list[ModelCard]:
        """Return the models in memory, the least recently used first."""
        with self._changed:
            return [slot.card for slot in self._by_use() if slot.loaded]

    def loading(self, name: str) -> float | None:
        """Return the share of a model that is loaded, while somebody waits for the rest."""
        with self._changed:
            slots = [slot for slot in self._slots.values() if slot.card.name == name]
        return next((slot.share for slot in slots if not slot.loaded), None)

    @contextmanager
    def lease(self, name: str, wait_s: float | None = None) -> Iterator[LLM]:
        """Lend a model, loading it first if need be; it stays loaded until this is left.

        Raises as `card` does, whatever loading it raises, and ModelUnavailableError where it
        is not there within `wait_s` or does not fit the memory.
        """
        slot = self._claim(self.card(name))
        try:
            yield self._wait(slot, self.settings.wait_s if wait_s is None else wait_s)
        finally:
            self._release(slot)

    @asynccontextmanager
    async def lease_async(self, name: str, wait_s: float | None = None) -> AsyncIterator[LLM]:
        """Lend a model to an event loop, as `lease` does, without a thread for whoever waits."""
        slot = self._claim(await asyncio.to_thread(self.card, name))
        try:
            if not slot.loaded:
                patience_s = self.settings.wait_s if wait_s is None else wait_s
                await _settled(slot.loading, patience_s)
            yield self._wait(slot, 0)
        finally:
            self._release(slot)

    def close(self) -> None:
        """Unload everything; answers under way end with EngineError."""
        with self._changed:
            self._open = False
            self._changed.notify_all()
        self._loader.shutdown(cancel_futures=True)
        for slot in list(self._slots.values()):
            self._unload(slot)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    # Leases

    def _claim(self, card: ModelCard) -> _Slot:
        """Count a lease and see to it that the model is loaded or will be."""
        with self._changed:
            if not self._open:
                raise EngineError("the models are closed; start again to go on")
            slot = self._slots.get(card.path)
            if slot is None:
                slot = self._slots[card.path] = _Slot(card)
                slot.loading = self._loader.submit(self._load, slot)
            slot.leases += 1
            return slot

    def _wait(self, slot: _Slot, patience_s: float) -> LLM:
        try:
            return slot.loading.result(patience_s)
        except CancelledError:
            raise EngineError("the models were closed while this one was waited for") from None
        except TimeoutError:
            if slot.loading.done():
                raise
            raise self._late(slot) from None

    def _late(self, slot: _Slot) -> ModelUnavailableError:
        with self._changed:
            if slot.loading.running() and not self._has_room(slot):
                return self._crowded(slot)
        what = "is still being loaded" if slot.loading.running() else "waits for others to load"
        return ModelUnavailableError(f"the model {slot.card.name!r} {what}; try again", RETRY_S)

    def _release(self, slot: _Slot) -> None:
        """Give a lease back; a model that nobody waits for any more is not loaded."""
        with self._changed:
            slot.leases -= 1
            slot.used = next(self._uses)
            if slot.leases == 0 and slot.loading.cancel():
                self._forget(slot)
            self._changed.notify_all()

    # Loading, on the loader's thread

    def _load(self, slot: _Slot) -> LLM:
        try:
            self._make_room(slot)
            return self._opened(slot)
        except BaseException:
            with self._changed:
                self._forget(slot)  # the next one who asks tries again
            raise

    def _opened(self, slot: _Slot) -> LLM:
        card, settings = slot.card, self.settings
        try:
            return LLM(
                card.path,
                context_tokens=card.context,
                kv_tokens=settings.kv_tokens,
                threads=settings.threads,
                isa=settings.isa,
                settings=settings.engine,
                progress=slot.tell,
                reference=settings.reference,
                packed_cache=settings.packed_cache,
                kv_type=settings.kv_type,
            )
        except MemoryError as error:
            raise ModelUnavailableError(
                f"the machine has no memory for the model {card.name!r}, "
                f"which takes {_gb(card.memory_bytes)}"
            ) from error

    def _make_room(self, slot: _Slot) -> None:
        """Unload what was used longest ago until the model fits."""
        self._check_fits(slot.card)
        deadline = time.monotonic() + self.settings.wait_s
        while (victim := self._next_victim(slot, deadline)) is not None:
            self._unload(victim)

    def _check_fits(self, card: ModelCard) -> None:
        if card.memory_bytes > self.budget_bytes:
            raise ModelUnavailableError(
                f"the model {card.name!r} takes {_gb(card.memory_bytes)} with its keys and values, "
                f"but models may take {_gb(self.budget_bytes)} here; "
                "set PUNA_MODELS_MIB to more, or PUNA_CONTEXT to less"
            )

    def _next_victim(self, slot: _Slot, deadline: float) -> _Slot | None:
        """Take out one slot that is to be unloaded; None once there is room."""
        with self._changed:
            while not self._has_room(slot):
                idle = [other for other in self._by_use() if other.loaded and not other.leases]
                if idle and slot.leases:  # nobody has to go for a model that nobody waits for
                    self._forget(idle[0])
                    return idle[0]
                self._wait_for_change(slot, deadline)
            return None

    def _has_room(self, slot: _Slot) -> bool:
        held = sum(other.card.memory_bytes for other in self._slots.values() if other.loaded)
        return held + slot.card.memory_bytes <= self.budget_bytes

    def _wait_for_change(self, slot: _Slot, deadline: float) -> None:
        left_s = deadline - time.monotonic()
        if not self._open or not slot.leases or left_s <= 0 or not self._changed.wait(left_s):
            raise self._crowded(slot)

    def _crowded(self, slot: _Slot) -> ModelUnavailableError:
        busy = ", ".join(other.card.name for other in self._by_use() if other.loaded)
        return ModelUnavailableError(
            f"there is no memory for the model {slot.card.name!r} while {busy} answer; try again",
            RETRY_S,
        )

    def _by_use(self) -> list[_Slot]:
        return sorted(self._slots.values(), key=lambda slot: slot.used)

    def _forget(self, slot: _Slot) -> None:
        if self._slots.get(slot.card.path) is slot:
            del self._slots[slot.card.path]

    def _unload(self, slot: _Slot) -> None:
        """Close a model that was loaded; it takes no memory once nobody holds its object."""
        self._forget(slot)
        if not slot.loading.cancelled() and slot.loading.exception() is None:
            slot.loading.result().close()


async def _settled(loading: Future[LLM], patience_s: float) -> None:
    """Wait for a load to end in whichever way, without stopping it where the waiting stops."""
    waiting = asyncio.wrap_future(loading)
    # An error is told by whoever asks for the result; here it only counts as seen.
    waiting.add_done_callback(lambda done: done.cancelled() or done.exception())
    await asyncio.wait([waiting], timeout=patience_s)


def _gb(n_bytes: int) -> str:
    return f"{n_bytes / 1e9:.2f} GB"
