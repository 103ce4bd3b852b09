"""One thread, many callers: every request ends, whatever happens to the engine."""

from __future__ import annotations

import gc
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from puna.engine import Emission, Engine, EngineLoop, Request, Ticket
from puna.errors import ContextOverflowError, EngineError
from tests.engine.scripted import Outcome, ScriptedModel, alone, request, small


@contextmanager
def serving(model: ScriptedModel, **settings: int) -> Iterator[tuple[EngineLoop, Engine]]:
    engine = Engine(model, small(**settings))
    loop = EngineLoop(engine)
    try:
        yield loop, engine
    finally:
        loop.close()


def listen(ticket: Ticket) -> Outcome:
    outcome = Outcome()
    for emission in ticket:
        outcome.add(emission)
    return outcome


def eventually(true: Callable[[], bool], within_s: float = 10.0) -> None:
    deadline = time.monotonic() + within_s
    while not true():
        assert time.monotonic() < deadline, "it did not become true"
        time.sleep(0.002)


class Brake:
    """Lets a model's step through only when told."""

    def __init__(self) -> None:
        self._steps = threading.Semaphore(0)

    def __call__(self, step: int) -> None:
        self._steps.acquire()

    def release(self, steps: int) -> None:
        self._steps.release(steps)


def test_many_threads_get_their_own_answers() -> None:
    requests = [request(i, 1 + 7 * i, seed=i, max_tokens=20) for i in range(16)]
    answers: dict[int, list[int]] = {}
    with serving(ScriptedModel()) as (loop, engine):

        def ask(number: int) -> None:
            answers[number] = listen(loop.submit(requests[number])).tokens

        threads = [threading.Thread(target=ask, args=(i,)) for i in range(16)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert engine.cache.held == 0
    assert answers == {i: alone(asked) for i, asked in enumerate(requests)}


def test_a_closed_ticket_stops_its_request_and_frees_the_blocks() -> None:
    brake = Brake()
    with serving(ScriptedModel(before_step=brake), burst_steps=1) as (loop, engine):
        ticket = loop.submit(request(1, 20, max_tokens=400))
        brake.release(3)
        emissions = iter(ticket)
        next(emissions)
        ticket.close()
        brake.release(1)
        eventually(lambda: engine.cache.held == 0)
        assert list(emissions) == []
        brake.release(1000)


@pytest.mark.parametrize("started", [False, True])
def test_a_forgotten_ticket_stops_its_request(started: bool) -> None:
    model = ScriptedModel()
    with serving(model) as (loop, engine):
        ticket = loop.submit(request(1, 20, max_tokens=490))
        if started:
            next(iter(ticket))
        eventually(lambda: model.steps > 5)
        del ticket
        gc.collect()
        eventually(lambda: engine.cache.held == 0)
        eventually(lambda: engine.idle)


def test_one_choice_of_a_request_can_be_cancelled() -> None:
    brake = Brake()
    with serving(ScriptedModel(before_step=brake)) as (loop, _):
        ticket = loop.submit(request(1, 20, seed=1, max_tokens=30, n=3))
        brake.release(5)
        ticket.cancel(1)
        brake.release(1000)
        reasons = {e.index: e.finish_reason for e in ticket if e.finish_reason}
    assert reasons == {0: "length", 1: "cancelled", 2: "length"}


@pytest.mark.parametrize("step", range(1, 13))
def test_an_exception_in_any_step_reaches_every_request_and_the_engine_serves_on(
    step: int,
) -> None:
    def broken(now: int) -> None:
        if now == step:
            raise MemoryError("out of memory in a kernel")

    with serving(ScriptedModel(before_step=broken)) as (loop, engine):
        asked = [request(i, 60, seed=i, max_tokens=20, n=2) for i in range(4)]
        outcomes = [listen_all(ticket) for ticket in [loop.submit(one) for one in asked]]
        errors = [e for outcome in outcomes for e in outcome.values() if e.reason == "error"]
        assert errors
        for outcome in errors:
            assert isinstance(outcome.last.error, EngineError)
            assert isinstance(outcome.last.error.__cause__, MemoryError)
        assert loop.alive
        assert listen(loop.submit(request(9, 30, seed=9, max_tokens=9))).tokens == alone(
            request(9, 30, seed=9, max_tokens=9)
        )
        assert engine.cache.held == 0


def listen_all(ticket: Ticket) -> dict[int, Outcome]:
    outcomes: dict[int, Outcome] = {}
    for emission in ticket:
        outcomes.setdefault(emission.index, Outcome()).add(emission)
    return outcomes


class Unforkable:
    """A mask that fails at the first touch."""

    def bits(self) -> NDArray[np.uint32]:
        raise NotImplementedError

    def accept(self, token_id: int) -> None:
        raise NotImplementedError

    def finished(self) -> bool:
        raise NotImplementedError

    def fork(self) -> Unforkable:
        raise RuntimeError("no copy")


class Unreadable(Unforkable):
    """A mask that fails when the first token is chosen."""

    def fork(self) -> Unreadable:
        return self

    def bits(self) -> NDArray[np.uint32]:
        raise RuntimeError("no bits")


@pytest.mark.parametrize("mask", [Unforkable(), Unreadable()])
def test_a_broken_mask_ends_its_own_request_alone(mask: Unforkable) -> None:
    with serving(ScriptedModel()) as (loop, engine):
        good = request(1, 30, seed=1, max_tokens=20)
        ticket = loop.submit(good)
        broken = loop.submit(replace(good, mask=mask, cache_salt="other"))
        assert isinstance(listen(broken).last.error, EngineError)
        assert listen(ticket).tokens == alone(good)
        assert loop.alive
        assert engine.cache.held == 0


def test_a_dead_thread_leaves_nobody_waiting() -> None:
    brake = Brake()

    def kill(now: int) -> None:
        brake(now)
        if now == 3:
            raise SystemExit

    with serving(ScriptedModel(before_step=kill)) as (loop, _):
        tickets = [loop.submit(request(i, 60, max_tokens=20)) for i in range(3)]
        brake.release(3)  # not before all three are in: a dead loop rightly refuses a fourth
        for ticket in tickets:
            assert isinstance(listen(ticket).last.error, EngineError)
        eventually(lambda: not loop.alive)
        with pytest.raises(EngineError):
            loop.submit(request(1, 10))


class Leaky:
    """An outbox that breaks at its third emission."""

    def __init__(self) -> None:
        self.taken: list[Emission] = []

    def put(self, emission: Emission, /) -> None:
        if len(self.taken) == 2:
            raise RuntimeError("the box is full")
        self.taken.append(emission)


def test_an_outbox_that_breaks_ends_its_own_request_alone(
    caplog: pytest.LogCaptureFixture,
) -> None:
    good = request(1, 30, seed=1, max_tokens=60)
    with serving(ScriptedModel()) as (loop, engine):
        box = Leaky()
        broken = loop.submit(request(2, 30, max_tokens=400, n=3), box)
        assert listen(loop.submit(good)).tokens == alone(good)
        eventually(lambda: engine.cache.held == 0)
        assert loop.alive
        assert len(box.taken) == 2
        broken.close()
    assert "cannot be handed over" in caplog.text


def test_an_outbox_that_breaks_while_the_loop_closes_keeps_nobody_waiting() -> None:
    brake = Brake()
    loop = EngineLoop(Engine(ScriptedModel(before_step=brake), small()))
    box = Leaky()
    box.taken = [Emission(0, 0), Emission(0, 0)]
    broken = loop.submit(request(1, 30, max_tokens=400), box)
    good = loop.submit(request(2, 30, max_tokens=400))
    closer = threading.Thread(target=loop.close)
    closer.start()
    brake.release(1000)
    assert isinstance(listen(good).last.error, EngineError)
    closer.join()
    broken.close()


def test_closing_ends_running_and_waiting_requests() -> None:
    brake = Brake()
    loop = EngineLoop(Engine(ScriptedModel(before_step=brake), small()))
    tickets = [loop.submit(request(i, 20, max_tokens=400, n=2)) for i in range(12)]
    brake.release(4)
    closer = threading.Thread(target=loop.close)
    closer.start()
    brake.release(1000)
    closer.join()
    for ticket in tickets:
        ends = [outcome.last for outcome in listen_all(ticket).values()]
        assert {type(end.error) for end in ends} == {EngineError}
        assert len(ends) == 2
    loop.close()
    with pytest.raises(EngineError):
        loop.submit(request(1, 10))


def test_a_request_that_cannot_fit_is_refused_in_the_callers_thread() -> None:
    with (
        serving(ScriptedModel(context_tokens=64)) as (loop, _),
        pytest.raises(ContextOverflowError),
    ):
        loop.submit(request(1, 100))


def test_submitting_races_with_closing_without_a_hang() -> None:
    for _ in range(20):
        loop = EngineLoop(Engine(ScriptedModel(), small()))
        ended: list[str | None] = []

        def ask(loop: EngineLoop = loop, ended: list[str | None] = ended) -> None:
            for number in range(50):
                try:
                    ended.append(listen(loop.submit(request(number, 3, max_tokens=2))).reason)
                except EngineError:
                    return

        asker = threading.Thread(target=ask)
        asker.start()
        loop.close()
        asker.join(timeout=20)
        assert not asker.is_alive()
        assert set(ended) <= {"length", "error"}


def test_an_unknown_cancel_does_no_harm() -> None:
    with serving(ScriptedModel()) as (loop, _):
        ticket = loop.submit(Request((1, 2, 3), request(1, 1, max_tokens=2).params))
        outcome = listen(ticket)
        ticket.cancel(0)
        ticket.close()
        ticket.close()
        assert outcome.reason == "length"
