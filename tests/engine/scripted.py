"""A small model for the engine's tests that knows whose rows it reads.

Each slot of its KV cache holds a token, its position and a fingerprint of
everything up to it, as a real key depends on all that came before.  Before
logits come out of a sequence, every row under its block table is checked
against the rows before it, so a stranger's or a stale row is caught at once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from puna.engine import Emission, Engine, EngineSettings, Request, SamplingParams
from puna.kernels.batch import BLOCK_TOKENS, Batch
from puna.kernels.burst import BurstLimits, Runner, run_burst
from puna.kernels.sampling import Draws, sample_rows

HIDDEN = 16
_FACTOR = np.uint64(6364136223846793005)


@dataclass(frozen=True)
class Shape:
    vocab_size: int


class ForeignRowError(AssertionError):
    """A sequence read a row that is not its own history."""


@dataclass
class ScriptedModel:
    """Logits are a hash of the whole history; equal histories give equal logits."""

    vocab_size: int = 97
    context_tokens: int = 512
    kv_blocks: int = 64
    max_batch_tokens: int = 512
    poison: frozenset[int] = frozenset()  # a history with one of these gives NaN
    before_step: Callable[[int], None] = lambda step: None
    config: Shape = field(init=False)
    steps: int = 0
    rows: int = 0
    rows_checked: int = 0
    largest_outputs: int = 0

    def __post_init__(self) -> None:
        self.config = Shape(self.vocab_size)
        shape = (self.kv_blocks, BLOCK_TOKENS)
        self._tokens = np.full(shape, -1, np.int64)
        self._positions = np.full(shape, -1, np.int64)
        self._prints = np.zeros(shape, np.uint64)

    def copy_blocks(self, pairs: Sequence[tuple[int, int]]) -> None:
        for source, target in pairs:
            for store in (self._tokens, self._positions, self._prints):
                store[target] = store[source]

    def sample(self, logits: NDArray[np.float32], draws: Draws) -> NDArray[np.int32]:
        return sample_rows(logits, draws)

    def burst(self, runners: Sequence[Runner], limits: BurstLimits) -> int:
        return run_burst(self.forward, self.sample, runners, limits)

    def hidden(self, batch: Batch) -> NDArray[np.float32]:
        return self.forward(batch)[:, :HIDDEN]

    def forward(self, batch: Batch) -> NDArray[np.float32]:
        batch.check()
        self.steps += 1
        self.before_step(self.steps)
        self.rows += batch.rows
        self.largest_outputs = max(self.largest_outputs, len(batch.output_rows))
        prints = np.zeros(batch.rows, np.uint64)
        poisoned = np.zeros(batch.rows, bool)
        for sequence in batch.sequences():
            rows = sequence.rows
            self._store(batch.tokens[rows], batch.positions[rows], sequence.blocks)
            first = int(batch.positions[rows][0])
            history, all_prints = self._read(sequence.blocks, sequence.kv_length)
            prints[rows] = all_prints[first:]
            bad = np.isin(history, list(self.poison))
            poisoned[rows] = np.logical_or.accumulate(bad)[first:]
        logits: NDArray[np.float32] = _noise(prints[batch.output_rows], self.vocab_size)
        logits[poisoned[batch.output_rows]] = np.nan
        return logits

    def _store(
        self, tokens: NDArray[np.int32], positions: NDArray[np.int32], blocks: NDArray[np.int32]
    ) -> None:
        for token, position in zip(tokens.tolist(), positions.tolist(), strict=True):
            before = np.uint64(1)
            if position:
                before = self._prints[blocks[(position - 1) // 32], (position - 1) % 32]
            slot = blocks[position // 32], position % 32
            self._tokens[slot], self._positions[slot] = token, position
            with np.errstate(over="ignore"):
                self._prints[slot] = before * _FACTOR + np.uint64(token + 1)

    def _read(
        self, blocks: NDArray[np.int32], length: int
    ) -> tuple[NDArray[np.int64], NDArray[np.uint64]]:
        tokens = self._tokens[blocks].ravel()[:length]
        prints = self._prints[blocks].ravel()[:length]
        before = np.concatenate([np.ones(1, np.uint64), prints[:-1]])
        expected = before * _FACTOR + (tokens + 1).astype(np.uint64)
        own = (self._positions[blocks].ravel()[:length] == np.arange(length)).all()
        if not own or not (prints == expected).all():
            raise ForeignRowError(f"a row of blocks {blocks.tolist()} belongs to another history")
        self.rows_checked += length
        return tokens, prints


def logits_after(history: Sequence[int], vocab_size: int = 97) -> NDArray[np.float32]:
    """Return (vocab_size,) what the model says after `history`."""
    seen = 1
    for token in history:
        seen = (seen * int(_FACTOR) + token + 1) % 2**64
    logits: NDArray[np.float32] = _noise(np.array([seen], np.uint64), vocab_size)[0]
    return logits


def _noise(prints: NDArray[np.uint64], vocab_size: int) -> NDArray[np.float32]:
    """Return (rows, vocab_size) logits in [-4, 4), one splitmix64 hash each."""
    bits = prints[:, None] + np.arange(vocab_size, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)
    for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
        bits = (bits ^ (bits >> np.uint64(shift))) * np.uint64(factor)
    unit = (bits >> np.uint64(40)).astype(np.float32) / np.float32(2**24)
    return unit * np.float32(8.0) - np.float32(4.0)


@dataclass
class Outcome:
    """All that one choice said."""

    tokens: list[int] = field(default_factory=list)
    emissions: list[Emission] = field(default_factory=list)

    @property
    def last(self) -> Emission:
        return self.emissions[-1]

    @property
    def reason(self) -> str | None:
        return self.last.finish_reason if self.emissions else None

    def add(self, emission: Emission) -> None:
        assert self.reason is None, "an emission after the end"
        self.emissions.append(emission)
        if emission.token_id is not None:
            self.tokens.append(emission.token_id)


Outcomes = dict[tuple[int, int], Outcome]


def gather(emissions: Iterator[Emission] | Sequence[Emission], into: Outcomes) -> None:
    for emission in emissions:
        into.setdefault((emission.request_id, emission.index), Outcome()).add(emission)


def run(engine: Engine, requests: Sequence[Request], most_steps: int = 100_000) -> Outcomes:
    """Submit everything at once and step until nothing is left."""
    outcomes: Outcomes = {}
    for request in requests:
        engine.submit(request)
    for _ in range(most_steps):
        if engine.idle:
            return outcomes
        gather(engine.step(), outcomes)
    raise AssertionError(f"not done after {most_steps} steps")


def alone(request: Request) -> list[int]:
    """Return what the first choice says when nothing runs beside it and nothing is cached."""
    return run(Engine(ScriptedModel()), [request])[0, 0].tokens


def prompt(seed: int, length: int, vocab_size: int = 97) -> tuple[int, ...]:
    return tuple(np.random.default_rng(seed).integers(0, vocab_size, length).tolist())


def request(number: int, length: int, **params: object) -> Request:
    return Request(prompt(number, length), SamplingParams(**params))  # type: ignore[arg-type]


def small(**settings: int) -> EngineSettings:
    """Settings that make every budget bite."""
    defaults = {"max_batch_tokens": 48, "max_sequences": 8, "prefill_beside_decode_tokens": 16}
    return EngineSettings(**{**defaults, **settings})
