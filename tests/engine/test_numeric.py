"""NaN and infinity in a real network: they end the requests that meet them, and nobody else's.

Blocks of the cache that held NaN are given to others at once, so the pool is small.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from puna.engine import Engine, EngineSettings, Request, SamplingParams
from puna.errors import NumericError
from puna.formats.checkpoint import open_checkpoint
from puna.kernels import KvType
from puna.model.llama import Llama
from tests.engine.scripted import Outcomes, gather, run
from tests.tiny import TinyLlama

POISON = 250
SOUND = 240  # ids below it are sound and are drawn from


def opened(path: Path, kv_type: KvType = "f16", kv_blocks: int = 10) -> Llama:
    with open_checkpoint(path) as checkpoint:
        return Llama.from_checkpoint(checkpoint, kv_blocks=kv_blocks, kv_type=kv_type)


@pytest.fixture(params=[np.nan, -np.inf], ids=["NaN", "infinity"])
def poisoned(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A network in which one token's embedding is no number."""
    tiny = TinyLlama(seed=5)
    tiny.tensors["model.embed_tokens.weight"][POISON] = request.param
    return tiny.write_gguf(tmp_path / "poisoned.gguf")


def asked(seed: int, *, poison: bool) -> Request:
    rng = np.random.default_rng(seed)
    ids = rng.integers(0, SOUND, int(rng.integers(5, 90))).tolist()
    if poison:
        ids[int(rng.integers(0, len(ids)))] = POISON
    params = SamplingParams(
        seed=seed,
        temperature=float(seed % 2),
        max_tokens=25,
        logit_bias=dict.fromkeys(range(SOUND, SOUND + 20), -100.0) if seed % 3 else {},
    )
    return Request(tuple(ids), params)


@pytest.fixture(params=["f16", "int8"])
def crowded(poisoned: Path, request: pytest.FixtureRequest) -> Iterator[Llama]:
    llama = opened(poisoned, request.param)
    yield llama
    llama.close()


def alone(llama: Llama, request: Request) -> list[int]:
    return run(Engine(llama), [request])[0, 0].tokens


def test_a_poisoned_prompt_ends_alone_and_its_blocks_are_clean_for_others(crowded: Llama) -> None:
    requests = [asked(seed, poison=seed % 3 == 1) for seed in range(36)]
    settings = EngineSettings(max_batch_tokens=64, max_sequences=6, burst_steps=4)
    engine, outcomes = Engine(crowded, settings), Outcomes()
    for request in requests:
        engine.submit(request)
    while not engine.idle:
        gather(engine.step(), outcomes)
    assert engine.cache.held == 0
    for number, request in enumerate(requests):
        outcome = outcomes[number, 0]
        if POISON in request.prompt_ids:
            assert isinstance(outcome.last.error, NumericError)
            assert outcome.tokens == []
        else:
            assert outcome.last.error is None
            assert outcome.tokens == alone(crowded, request)


def test_nan_in_a_weight_ends_every_answer_with_an_error_and_the_engine_lives(
    tmp_path: Path,
) -> None:
    tiny = TinyLlama(seed=5)
    tiny.tensors["model.layers.1.mlp.down_proj.weight"][3, 7] = np.nan
    engine = Engine(opened(tiny.write_gguf(tmp_path / "broken.gguf"), kv_blocks=40))
    for _ in range(2):
        for seed in range(4):
            engine.submit(asked(seed, poison=False))
        ends = [e for _ in range(40) for e in engine.step() if e.finish_reason]
        assert [type(e.error) for e in ends] == [NumericError] * 4
        assert engine.idle
        assert engine.cache.held == 0
