"""One thread steps the engine; everybody else talks to it through queues.

In: requests and cancellations from any thread.  Out: for each request, its
emissions in order, until every choice has ended.  Knows no text.

A failure of the engine reaches every waiting request as an emission with
`error`; a ticket that is closed or forgotten cancels its request.
"""

from __future__ import annotations

import logging
import time
import weakref
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from queue import Empty, SimpleQueue
from threading import Lock, Thread
from typing import Protocol

from puna.engine.engine import Engine
from puna.engine.load import Load
from puna.engine.request import Request
from puna.engine.sequence import Emission
from puna.errors import EngineError, PunaError

REST_S = 0.002

log = logging.getLogger("puna")


class Outbox(Protocol):
    """Where the engine's thread puts a request's emissions; `put` must not block."""

    def put(self, emission: Emission, /) -> None:
        """Take the next emission."""
        ...


@dataclass(eq=False)
class _Order:
    """A request between its consumer and the engine's thread."""

    request: Request
    outbox: Outbox
    request_id: int | None = None  # once the engine has it
    unfinished: set[int] = field(init=False)  # choices, as the engine's thread sees them

    def __post_init__(self) -> None:
        self.unfinished = set(range(self.request.params.n))

    def put(self, emission: Emission) -> bool:
        """Hand over an emission; False where the outbox breaks, which must end nobody else."""
        try:
            self.outbox.put(emission)
        except Exception:
            log.exception("puna: an answer cannot be handed over, so it ends")
            return False
        return True


@dataclass(frozen=True)
class _Submit:
    order: _Order


@dataclass(frozen=True)
class _Cancel:
    order: _Order
    index: int | None  # None = every choice


@dataclass(frozen=True)
class _Close:
    pass


# SimpleQueue.put is reentrant: a destructor may call it at any moment.
_Inbox = SimpleQueue[_Submit | _Cancel | _Close]


class Ticket:
    """A submitted request: iterate over its emissions, close to cancel what is left.

    There is nothing to iterate over where an outbox of the caller's own was given.
    """

    def __init__(self, order: _Order, inbox: _Inbox, emissions: SimpleQueue[Emission]) -> None:
        self._order = order
        self._inbox = inbox
        self._emissions = emissions
        self._left = set(range(order.request.params.n))
        self._finalizer = weakref.finalize(self, inbox.put, _Cancel(order, None))
        self._finalizer.atexit = False

    def __iter__(self) -> Iterator[Emission]:
        """Yield emissions until every choice has ended."""
        while self._left:
            emission = self._emissions.get()
            if emission.finish_reason is not None:
                self._left.discard(emission.index)
            yield emission
        self._finalizer.detach()

    def cancel(self, index: int) -> None:
        """End one choice; its last emission says "cancelled"."""
        self._inbox.put(_Cancel(self._order, index))

    def close(self) -> None:
        """End the request and free its blocks; what it had still to say is lost."""
        self._left.clear()
        self._finalizer()

    def __enter__(self) -> Ticket:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()


class EngineLoop:
    """A running engine; `close` ends it and every request in it."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._inbox: _Inbox = SimpleQueue()
        self._orders: dict[int, _Order] = {}
        self._gate = Lock()  # no request slips in behind the last one that is answered
        self._open = True
        self.spoke_at = time.monotonic()  # when the engine last computed something
        self._thread = Thread(target=self._run, name="puna-engine", daemon=True)
        self._thread.start()

    @property
    def alive(self) -> bool:
        """Whether requests are being served."""
        return self._open and self._thread.is_alive()

    def load(self) -> Load:
        """Return how busy the engine is."""
        return self._engine.load()

    def check(self, request: Request) -> None:
        """Raise what `submit` would say of the request itself."""
        self._engine.check(request)

    def submit(self, request: Request, outbox: Outbox | None = None) -> Ticket:
        """Queue a request; its emissions go to `outbox`, or to the ticket's own queue.

        Raises at once: ContextOverflowError, InvalidParameterError, and
        EngineError once the loop is closed or its thread has died.
        """
        self._engine.check(request)
        emissions: SimpleQueue[Emission] = SimpleQueue()
        order = _Order(request, emissions if outbox is None else outbox)
        with self._gate:
            if not self._open:
                raise EngineError("the model is closed; open it again to go on")
            self._inbox.put(_Submit(order))
        return Ticket(order, self._inbox, emissions)

    def close(self) -> None:
        """End every request with EngineError, then the thread; twice does no harm."""
        self._inbox.put(_Close())
        self._thread.join()

    def _run(self) -> None:
        reason = "the model was closed while it answered"
        try:
            while self._take_orders():
                self._deliver(self._step())
        except BaseException as error:  # whatever it was, nobody may wait in vain
            reason = f"the engine's thread has died: {error!r}"
        finally:
            self._fail_everything(EngineError(reason))

    def _take_orders(self) -> bool:
        """Read the inbox, waiting only if there is nothing else to do; False = close."""
        try:
            while True:
                order = self._next_order()
                if isinstance(order, _Close):
                    return False
                self._obey(order)
        except Empty:
            return True

    def _next_order(self) -> _Submit | _Cancel | _Close:
        if self._engine.idle:
            return self._inbox.get()
        # All that is left waits for a database: look now and then whether it has answered.
        return self._inbox.get(timeout=REST_S if self._engine.resting else 0)

    def _obey(self, order: _Submit | _Cancel) -> None:
        match order:
            case _Submit(submitted):
                self._admit(submitted)
            case _Cancel(cancelled, index) if cancelled.request_id is not None:
                self._engine.cancel(cancelled.request_id, index)

    def _admit(self, order: _Order) -> None:
        """Hand the order to the engine; what goes wrong here, as in a mask, is its own failure."""
        try:
            order.request_id = self._engine.submit(order.request)
            self._orders[order.request_id] = order
        except PunaError as error:
            _tell(order, error)
        except Exception as error:
            failure = EngineError(f"the request could not be started: {error!r}")
            failure.__cause__ = error
            _tell(order, failure)

    def _step(self) -> list[Emission]:
        try:
            return self._engine.step()
        except Exception as error:
            failure = EngineError(f"the engine failed in a step and starts afresh: {error!r}")
            failure.__cause__ = error
            return self._engine.fail(failure)

    def _deliver(self, emissions: Sequence[Emission]) -> None:
        self._note_life(emissions)
        for emission in emissions:
            order = self._orders[emission.request_id]
            if emission.finish_reason is not None:
                order.unfinished.discard(emission.index)
            if not order.unfinished:
                del self._orders[emission.request_id]
            if not order.put(emission):
                self._engine.cancel(emission.request_id)

    def _note_life(self, emissions: Sequence[Emission]) -> None:
        """Remember when the engine last computed something; after a failure it has yet to."""
        if any(emission.error is not None for emission in emissions):
            self.spoke_at = float("-inf")
        elif any(emission.finish_reason != "cancelled" for emission in emissions):
            self.spoke_at = time.monotonic()

    def _fail_everything(self, error: EngineError) -> None:
        """Tell every request, also those still in the inbox, that nothing more will come."""
        with self._gate:
            self._open = False
        for order in [*self._orders.values(), *self._unread()]:
            _tell(order, error)

    def _unread(self) -> Iterator[_Order]:
        while not self._inbox.empty():
            order = self._inbox.get()
            if isinstance(order, _Submit):
                yield order.order


def _tell(order: _Order, error: PunaError) -> None:
    """End every unfinished choice of the order with `error`."""
    for index in sorted(order.unfinished):
        order.put(Emission(order.request_id or 0, index, finish_reason="error", error=error))
