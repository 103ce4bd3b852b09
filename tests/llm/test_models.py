"""Several models behind one port each: loaded on demand, unloaded within a budget."""

from __future__ import annotations

import asyncio
import gc
import random
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from puna.errors import (
    EngineError,
    MissingTensorError,
    ModelNotFoundError,
    ModelUnavailableError,
)
from puna.formats.store import ModelStore
from puna.llm import LLM
from puna.llm.cards import ModelCard
from puna.llm.memory import machine_bytes, memory_for_models
from puna.llm.models import Models, ModelSettings
from tests.tiny import TinyLlama

NAMES = ("one", "two", "three", "four")
PROMPT = [1, 2, 3, 4, 5]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four tiny models of one size, and one as the hub names it."""
    home = tmp_path_factory.mktemp("home")
    for seed, name in enumerate(NAMES):
        TinyLlama(seed=seed).write_gguf(home / "models" / name / "model.gguf")
    TinyLlama(seed=9).write_safetensors(home / "models" / "org--repo")
    return home


def settings(home: Path, room_for: int, wait_s: float = 30.0) -> ModelSettings:
    """A budget that holds so many of the tiny models."""
    with Models(ModelStore(home), ModelSettings(kv_tokens=256, context_tokens=128)) as models:
        each = models.card("one").memory_bytes
    return ModelSettings(
        budget_bytes=room_for * each + each // 2,
        wait_s=wait_s,
        context_tokens=128,
        kv_tokens=256,
        threads=1,
    )


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def two(home: Path) -> Iterator[Models]:
    """Room for two models at once."""
    with Models(ModelStore(home), settings(home, 2), {"default": "one"}) as models:
        yield models


def answer(llm: LLM) -> str:
    return llm.complete(PROMPT, temperature=0.0, max_tokens=8, ignore_eos=True).text


def loaded(models: Models) -> list[str]:
    return [card.name for card in models.loaded()]


def use(models: Models, *names: str) -> None:
    for name in names:
        with models.lease(name):
            pass


def test_cards_tell_what_there_is_without_loading_it(two: Models, home: Path) -> None:
    cards = {card.name: card for card in two.names()}
    assert list(cards) == ["four", "hf:org/repo", "one", "three", "two", "default"]
    card = cards["one"]
    tiny = TinyLlama(seed=0)
    assert card.parameters == sum(weight.size for weight in tiny.tensors.values())
    assert card.bytes == (home / "models/one/model.gguf").stat().st_size
    assert (card.context, card.quantisation, card.owned_by) == (128, "F32", "local")
    assert cards["hf:org/repo"].owned_by == "org"
    assert abs(card.created - time.time()) < 3600
    assert loaded(two) == []


def test_the_context_of_a_card_is_no_longer_than_the_model_was_trained_for(home: Path) -> None:
    with Models(ModelStore(home), ModelSettings(context_tokens=100_000)) as models:
        assert models.card("one").context == 2048


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


def test_an_alias_may_name_a_path_but_a_name_never_is_one(home: Path) -> None:
    path = home / "models" / "two" / "model.gguf"
    with Models(ModelStore(home), settings(home, 2), {"mine": path}) as models:
        use(models, "mine")
        for name in (str(path), "../models/two/model.gguf", "~", "/etc/passwd", ""):
            with pytest.raises(ModelNotFoundError, match="there is no model"):
                models.card(name)


def test_an_unknown_name_is_told_with_what_was_meant(two: Models) -> None:
    with pytest.raises(ModelNotFoundError, match="did you mean 'three'"), two.lease("thre"):
        pass
    with pytest.raises(ModelNotFoundError, match="there are four, hf:org/repo, one"):
        two.card("zzzzzz")


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


def test_a_load_that_waits_for_room_gives_up_after_its_time(home: Path) -> None:
    limits = settings(home, 1, wait_s=0.3)
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
            pytest.raises(ModelUnavailableError, match=r"raise the budget") as refused,
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


def test_a_broken_file_in_the_store_hides_no_other(tmp_path: Path) -> None:
    TinyLlama(seed=1).write_gguf(tmp_path / "models" / "good" / "m.gguf")
    (tmp_path / "models" / "bad").mkdir()
    (tmp_path / "models" / "bad" / "b.gguf").write_bytes(b"GGUF" + b"\xff" * 100)
    with Models(ModelStore(tmp_path)) as models:
        assert [card.name for card in models.names()] == ["good"]


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
    models = Models(ModelStore(home), settings(home, 1))
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


def test_an_unloaded_model_gives_its_memory_back_to_the_system(tmp_path: Path) -> None:
    shape: dict[str, Any] = {
        "hidden": 768,
        "intermediate": 3072,
        "layers": 8,
        "heads": 8,
        "head_dim": 96,
    }
    for name in ("big", "bigger"):
        TinyLlama(seed=3, **shape).write_gguf(tmp_path / "models" / name / "m.gguf", "F16")
    limits = ModelSettings(kv_tokens=2048, context_tokens=1024, threads=1)
    with Models(ModelStore(tmp_path), limits) as probe:
        card = probe.card("big")
    one = ModelSettings(**{**vars(limits), "budget_bytes": card.memory_bytes * 3 // 2})
    with Models(ModelStore(tmp_path), one) as models:
        start = private_bytes()
        use(models, "big")
        with_one = private_bytes() - start
        use(models, "bigger", "big", "bigger")
        after_three = private_bytes() - start
    gc.collect()
    left = private_bytes() - start
    check_memory(card, with_one, after_three, left)


def check_memory(card: ModelCard, with_one: int, after_three: int, left: int) -> None:
    assert card.bytes > 100e6
    assert card.bytes * 0.8 < with_one < card.memory_bytes * 1.3
    assert after_three < with_one * 1.1
    assert left < card.bytes * 0.1


def private_bytes() -> int:
    """Resident memory of this process that no file stands behind."""
    lines = Path("/proc/self/status").read_text().splitlines()
    kib = next(line.split()[1] for line in lines if line.startswith("RssAnon"))
    return int(kib) * 1024


def test_the_budget_is_a_share_of_the_memory_that_there_is(home: Path) -> None:
    with Models(ModelStore(home)) as models:
        assert models.budget_bytes == memory_for_models()
    assert 2**28 < memory_for_models() < machine_bytes()
