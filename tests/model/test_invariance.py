"""Llamas of odd shapes: whatever is computed beside a sequence, and however it is cut, same bits.

Heads share a key head one to eight at a time, heads have 64 or 128 values, the vocabulary is odd,
block types are mixed, keys and values are halfs or bytes.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest

from puna.engine import Engine, EngineSettings, Request, SamplingParams
from puna.formats.checkpoint import open_checkpoint
from puna.kernels import KvType
from puna.model.llama import Llama
from tests.model.steps import Chunk, Tokens, batch_of, blocks_for, read
from tests.tiny import TinyLlama

MIXTURE = {"output.weight": "Q6_K", "token_embd.weight": "Q8_0", "*attn_v*": "Q5_K", "*": "Q4_K"}
TYPES: list[str | dict[str, str]] = ["Q4_1", "Q4_0", "Q8_0", MIXTURE, "F32", "BF16", "Q5_K", "Q6_K"]


@dataclass(frozen=True)
class OddLlama(TinyLlama):
    """A network whose vocabulary is not that of its tokenizer, which nobody asks here."""

    vocabulary: int = 301

    def _shapes(self) -> Iterator[tuple[str, tuple[int, ...]]]:
        for name, shape in super()._shapes():
            outer = name in {"model.embed_tokens.weight", "lm_head.weight"}
            yield name, (self.vocabulary, self.hidden) if outer else shape


def odd_llama(group: int) -> OddLlama:
    """A shape for so many heads to a key head."""
    kv_heads = 1 + group % 3
    return OddLlama(
        seed=group,
        hidden=256 * (1 + group % 2),
        intermediate=256 * (1 + group % 3),
        layers=2,
        heads=group * kv_heads,
        kv_heads=kv_heads,
        head_dim=(64, 128)[group % 2],
        vocabulary=257 + 2 * group,
        tied=group % 4 == 0,
    )


@dataclass(frozen=True)
class Machine:
    """How one network is opened."""

    path: Path
    kv_type: KvType

    def open(self, threads: int) -> Llama:
        with open_checkpoint(self.path) as checkpoint:
            return Llama.from_checkpoint(
                checkpoint,
                context_tokens=1024,
                kv_blocks=96,
                threads=threads,
                kv_type=self.kv_type,
            )


@pytest.fixture(scope="module", params=range(1, 9), ids=lambda group: f"{group} to a key head")
def path(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    group: int = request.param
    return odd_llama(group).write_gguf(
        tmp_path_factory.mktemp("odd") / f"odd-{group}.gguf", TYPES[group - 1]
    )


@pytest.fixture(params=["f16", "int8"])
def machine(path: Path, request: pytest.FixtureRequest) -> Machine:
    return Machine(path, request.param)


@pytest.fixture
def either(path: Path) -> Machine:
    """Half of the networks with halfs, half with bytes."""
    return Machine(path, "int8" if int(path.stem[-1]) % 2 else "f16")


def tokens(count: int, seed: int) -> Tokens:
    return np.random.default_rng(seed).integers(0, 257, count).astype(np.int32)


def test_logits_are_the_same_bits_in_any_company_and_cut(machine: Machine) -> None:
    """Four sequences, one of several spans of keys, cut at random and read side by side."""
    lengths = (600, 1, 77, 130)
    texts = [tokens(length, seed) for seed, length in enumerate(lengths)]
    places = [blocks_for(n, first) for n, first in zip(lengths, (0, 20, 21, 24), strict=True)]
    one, two = machine.open(1), machine.open(2)
    expected = [read(one, t, blocks=b) for t, b in zip(texts, places, strict=True)]
    rng = np.random.default_rng(5)
    for llama in (one, two):
        done = [0] * len(texts)
        while any(d < n for d, n in zip(done, lengths, strict=True)):
            cuts = [
                int(rng.integers(0, min(97, n - d) + 1)) for d, n in zip(done, lengths, strict=True)
            ]
            chosen = [i for i, cut in enumerate(cuts) if cut]
            if not chosen:
                continue
            parts = [
                Chunk(texts[i][done[i] : done[i] + cuts[i]], done[i], places[i]) for i in chosen
            ]
            logits = np.split(llama.forward(batch_of(parts)), np.cumsum([cuts[i] for i in chosen]))
            for i, found in zip(chosen, logits, strict=False):
                assert found.tobytes() == expected[i][done[i] : done[i] + cuts[i]].tobytes()
                done[i] += cuts[i]
        llama.close()


def requests() -> list[Request]:
    """Every sampler at work over prompts that share their beginning and repeat themselves."""
    stem, rng = tokens(300, 9).tolist(), np.random.default_rng(10)
    ways: list[dict[str, float]] = [
        {"temperature": 0.0},
        {"temperature": 0.7},
        {"temperature": 0.3, "top_k": 5},
        {"temperature": 1.0, "top_p": 0.8},
        {"temperature": 1.5, "min_p": 0.2},
        {"temperature": 0.5, "top_k": 40, "top_p": 0.9, "min_p": 0.05},
        {"temperature": 0.0, "repetition_penalty": 1.2},
        {"temperature": 0.4, "frequency_penalty": 0.5, "presence_penalty": -0.5},
    ]
    asked = []
    for seed, way in enumerate(ways):
        part = rng.integers(0, 257, 9).tolist()
        ids = (*stem[: int(rng.integers(0, 300))], *part, *part, *part)
        params = SamplingParams(seed=seed, max_tokens=25, **way)  # type: ignore[arg-type]
        asked.append(Request(ids, params))
    return [*asked, replace(asked[0], params=replace(asked[0].params, logprobs=3, n=2))]


def answers(llama: Llama, asked: list[Request], **settings: int) -> list[object]:
    """All that each request says, asked at once; scores too."""
    engine = Engine(llama, EngineSettings(**settings))
    said: dict[tuple[int, int], list[object]] = {}
    for one in asked:
        engine.submit(one)
    while not engine.idle:
        for e in engine.step():
            assert e.error is None
            if e.token_id is not None:
                said.setdefault((e.request_id, e.index), []).append((e.token_id, e.score))
    return [said[key] for key in sorted(said)]


def test_answers_are_the_same_alone_together_guessed_cached_and_cut(either: Machine) -> None:
    asked = requests()
    one, two = either.open(1), either.open(2)
    alone = [
        choice
        for request in asked
        for choice in answers(one, [request], burst_steps=1, lookup_sequences=0)
    ]
    assert answers(one, asked, lookup_sequences=64, burst_steps=5) == alone
    assert answers(two, asked) == alone
    assert answers(two, asked, max_batch_tokens=23, max_sequences=5) == alone
    for request, expected in list(zip(asked, alone, strict=False))[::3]:
        assert answers(two, [request, request], lookup_sequences=8) == [expected, expected]
    one.close()
    two.close()


def test_two_hundred_at_once_say_what_each_says_alone(tmp_path: Path) -> None:
    path = TinyLlama(seed=1).write_gguf(tmp_path / "tiny.gguf", types="Q4_0")
    with open_checkpoint(path) as checkpoint:
        llama = Llama.from_checkpoint(checkpoint, kv_blocks=1200, threads=2)
    asked = [
        Request(
            tuple(tokens(3 + i % 70, i).tolist()),
            SamplingParams(seed=i, temperature=i % 2 * 0.8, max_tokens=12),
        )
        for i in range(200)
    ]
    together = answers(llama, asked, max_sequences=200)
    assert together == [choice for one in asked for choice in answers(llama, [one])]
    llama.close()
