"""Several models behind one port each: loaded on demand, unloaded within a budget."""

from __future__ import annotations

import asyncio
import random
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import pytest

from puna.errors import (
    EngineError,
    MissingTensorError,
    ModelNotFoundError,
    ModelUnavailableError,
)
from puna.formats.store import ModelStore
from puna.llm import LLM
from puna.llm.models import Models, ModelSettings
from tests.llm.several import NAMES, limited, loaded, use
from tests.tiny import TinyLlama

PROMPT = [1, 2, 3, 4, 5]


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


def answer(llm: LLM) -> str:
    return llm.complete(PROMPT, temperature=0.0, max_tokens=8, ignore_eos=True).text


def test_each_name_answers_with_its_own_weights(two: Models, home: Path) -> None:
    for name in (*NAMES, *NAMES):
        path = home / "models" / name / "model.gguf"
        with LLM(path, context_tokens=128, kv_tokens=256, threads=1) as alone:
            expected = answer(alone)
        with two.lease(name) as llm:
            assert answer(llm) == expected


def test_the_least_recently_used_model_makes_room(two: Models) -> None:
    use(two, "one", "two")
    assert loaded(two) == ["one", "two"]
    use(two, "one", "three")
    assert loaded(two) == ["one", "three"]
    use(two, "four")
    assert loaded(two) == ["three", "four"]


def test_a_leased_model_stays_and_an_unused_newer_one_goes(two: Models) -> None:
    with two.lease("one") as llm:
        use(two, "two", "three")
        assert loaded(two) == ["one", "three"] or loaded(two) == ["three", "one"]
        assert answer(llm)


def test_an_alias_shares_the_model_that_it_names(two: Models) -> None:
    with two.lease("one") as one, two.lease("default") as default:
        assert one is default
    assert len(two.loaded()) == 1


def test_a_request_waits_until_a_model_that_answers_is_done(two: Models) -> None:
    with ExitStack() as leases, ThreadPoolExecutor(1) as pool:
        for name in ("one", "two"):
            leases.enter_context(two.lease(name))
        waiting = pool.submit(use, two, "three")
        time.sleep(0.2)
        assert not waiting.done()
        leases.close()
        waiting.result(10)
    assert loaded(two) == ["one", "three"]  # "two" was given back first


def test_where_no_memory_becomes_free_the_error_says_who_has_it(two: Models) -> None:
    started = time.monotonic()
    with two.lease("one"), two.lease("two"):
        with (
            pytest.raises(ModelUnavailableError, match="'three'") as late,
            two.lease("three", wait_s=0.3),
        ):
            pass
        assert late.value.retry_after_s
        assert 0.25 < time.monotonic() - started < 5
    use(two, "three")  # what gave up left nothing behind


def test_nobody_goes_for_a_model_that_nobody_waits_for(home: Path) -> None:
    with Models(ModelStore(home), limited(home, 1)) as models:
        use(models, "one")
        for _ in range(20):
            with pytest.raises(ModelUnavailableError), models.lease("two", wait_s=0):
                pass
        models._loader.submit(time.sleep, 0).result(10)  # behind whatever was begun
        assert loaded(models) == ["one"]


def test_a_load_that_waits_for_room_gives_up_after_its_time(home: Path) -> None:
    limits = limited(home, 1, wait_s=0.3)
    with Models(ModelStore(home), limits) as models, models.lease("one"):
        with (
            pytest.raises(ModelUnavailableError, match="while one answer"),
            models.lease("two", wait_s=10),
        ):
            pass
        assert loaded(models) == ["one"]


def test_a_model_larger_than_the_budget_is_refused_at_once(home: Path) -> None:
    with Models(ModelStore(home), ModelSettings(budget_bytes=1000, kv_tokens=256)) as models:
        with (
            pytest.raises(ModelUnavailableError, match=r"PUNA_MODELS_MIB to more") as refused,
            models.lease("one"),
        ):
            pass
        assert refused.value.retry_after_s is None


def test_a_failed_load_does_not_spoil_the_next(tmp_path: Path) -> None:
    whole = TinyLlama(seed=1)
    path = whole.write_gguf(tmp_path / "models" / "m" / "m.gguf")
    sound = path.read_bytes()
    path.write_bytes(sound.replace(b"blk.1.ffn_up.weight", b"blk.1.ffn_xx.weight"))
    TinyLlama(seed=2).write_gguf(tmp_path / "models" / "other" / "o.gguf")
    with Models(ModelStore(tmp_path), ModelSettings(kv_tokens=256)) as models:
        for _ in range(2):
            with pytest.raises(MissingTensorError, match="ffn_up"), models.lease("m"):
                pass
        use(models, "other")
        path.write_bytes(sound)
        with models.lease("m") as llm:
            assert answer(llm)


def test_many_threads_over_more_models_than_fit(two: Models) -> None:
    expected = {}
    for name in NAMES:
        with two.lease(name) as llm:
            expected[name] = answer(llm)
    most = 0
    stop = threading.Event()

    def watch() -> None:
        nonlocal most
        while not stop.is_set():
            most = max(most, sum(card.memory_bytes for card in two.loaded()))
            time.sleep(0.0005)

    def work(seed: int) -> None:
        chance = random.Random(seed)
        for _ in range(12):
            name = chance.choice(NAMES)
            with two.lease(name) as llm:
                assert answer(llm) == expected[name]

    watcher = threading.Thread(target=watch)
    watcher.start()
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(work, range(8)))
    stop.set()
    watcher.join()
    assert 0 < most <= two.budget_bytes


@pytest.mark.anyio
async def test_an_event_loop_waits_for_many_leases_without_threads(two: Models) -> None:
    before = threading.active_count()
    together = 0

    async def once(name: str) -> LLM:
        nonlocal together
        async with two.lease_async(name) as llm:
            together = max(together, threading.active_count())
            return llm

    models = await asyncio.gather(*(once("one") for _ in range(200)))
    assert len(set(map(id, models))) == 1
    assert together - before < 40  # the loop's own pool for reading headers, loader, engine


@pytest.mark.anyio
async def test_an_event_loop_hears_errors_and_gives_up_in_time(two: Models) -> None:
    with pytest.raises(ModelNotFoundError):
        async with two.lease_async("zzz"):
            pass
    async with two.lease_async("one"), two.lease_async("two"):
        with pytest.raises(ModelUnavailableError):
            async with two.lease_async("three", wait_s=0.2):
                pass


@pytest.mark.anyio
async def test_whoever_stops_waiting_leaves_no_lease_behind(two: Models) -> None:
    async def wait() -> None:
        async with two.lease_async("three"):
            pass

    async with two.lease_async("one"), two.lease_async("two"):
        tasks = [asyncio.create_task(wait()) for _ in range(5)]
        await asyncio.sleep(0.2)
        for task in tasks:
            task.cancel()
        ended = await asyncio.gather(*tasks, return_exceptions=True)
        assert all(isinstance(end, asyncio.CancelledError) for end in ended)
    use(two, "three", "four")
    assert loaded(two) == ["three", "four"]


def test_closing_ends_what_runs_and_what_waits(home: Path) -> None:
    models = Models(ModelStore(home), limited(home, 1))
    with models.lease("one") as llm, ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(use, models, "two")
        time.sleep(0.1)
        models.close()
        with pytest.raises((ModelUnavailableError, EngineError)):
            waiting.result(10)
        with pytest.raises(EngineError):
            answer(llm)
    with pytest.raises(EngineError, match="closed"):
        use(models, "one")
