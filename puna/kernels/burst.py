"""Several decode steps in one call: forward, pick, feed what was picked, again.

In: decoding sequences with room in the KV cache.  Out: the tokens they say, one
after the other as if each had been a step of its own.  Knows no text: tokens
that a stop string cuts off are the caller's to drop.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from puna.kernels.batch import BLOCK_TOKENS, Batch
from puna.kernels.lookup import guess_next
from puna.kernels.sampling import NOT_FINITE, Draws

Ending = Literal["stop", "not finite"]
Int32s = NDArray[np.int32]
HABITS = 4
"""Classes of guesses, by how many tokens before them matched; each has its rate of success."""


def first_habits() -> NDArray[np.float32]:
    """Return (HABITS,) what is expected of guesses before any was checked."""
    return np.array([0.2, 0.3, 0.6, 0.85], np.float32)


@dataclass(slots=True)
class Runner:
    """One decoding sequence: what it is, and once the burst is over what it said."""

    tokens: Int32s  # all of them; the last is not in the KV cache yet
    blocks: Int32s  # of its KV cache, for all that it may say
    endings: Int32s  # tokens that end it and are no part of it
    draw: Draws  # (1,) of its next token
    room: int  # tokens that it may say at most; at least 1
    habits: NDArray[np.float32]  # (HABITS,) how often guesses came true; brought up to date

    said: list[int] = field(default_factory=list)
    ending: Ending | None = None
    stop_token_id: int | None = None
    drafted: int = 0  # tokens guessed and checked
    accepted: int = 0  # of these, the right ones

    @property
    def live(self) -> bool:
        """Whether it goes on."""
        return self.ending is None and len(self.said) < self.room


@dataclass(frozen=True, slots=True)
class BurstLimits:
    """When a burst ends, and what it may guess."""

    seconds: float  # no step begins that would probably end later, but for the first
    steps: int
    rows: int  # of one step
    lookup_sequences: int  # guesses are made while at most so many sequences run
    until_first_end: bool = False  # somebody waits for the room of whoever ends
    thrifty: bool = True  # guess only where that has been paying, as far as the backend knows


Forward = Callable[[Batch], NDArray[np.float32]]
Sample = Callable[[NDArray[np.float32], Draws], Int32s]

_DRAFT = 4


def run_burst(
    forward: Forward, sample: Sample, runners: Sequence[Runner], limits: BurstLimits
) -> int:
    """Run steps until a limit is reached and return their number: the meaning of a burst.

    Guesses wherever it can and looks at no clock; neither changes what is said.
    """
    steps = running = 0
    while steps < limits.steps:
        live = [runner for runner in runners if runner.live]
        if not live or (limits.until_first_end and len(live) < running):
            break
        running, steps = len(live), steps + 1
        _step(forward, sample, live, limits)
    return steps


def _step(forward: Forward, sample: Sample, live: Sequence[Runner], limits: BurstLimits) -> None:
    guesses = [_guess(runner, len(live), limits) for runner in live]
    batch = _lay_out(live, guesses)
    draws = [_draws(runner, len(guess)) for runner, guess in zip(live, guesses, strict=True)]
    picked = sample(forward(batch), np.concatenate(draws)).tolist()
    for runner, guess, first in zip(live, guesses, batch.sequence_starts.tolist(), strict=False):
        _hear(runner, guess, picked[first : first + len(guess) + 1])


def _history(runner: Runner) -> Int32s:
    return np.concatenate([runner.tokens, np.array(runner.said, np.int32)])


def _guess(runner: Runner, running: int, limits: BurstLimits) -> list[int]:
    if running > limits.lookup_sequences:
        return []
    fits = min(runner.room - len(runner.said) - 1, limits.rows // running - 1)
    return guess_next(_history(runner), min(fits, _DRAFT))


def _draws(runner: Runner, guessed: int) -> Draws:
    draws = np.repeat(runner.draw, guessed + 1)
    draws["step"] += len(runner.said) + np.arange(guessed + 1)
    return draws


def _lay_out(live: Sequence[Runner], guesses: Sequence[list[int]]) -> Batch:
    lines = [
        np.array([_history(runner)[-1], *guess], np.int32)
        for runner, guess in zip(live, guesses, strict=True)
    ]
    lengths = [len(_history(r)) + len(guess) for r, guess in zip(live, guesses, strict=True)]
    positions = [
        np.arange(length - len(line), length) for length, line in zip(lengths, lines, strict=True)
    ]
    rows = sum(map(len, lines))
    return Batch(
        tokens=np.concatenate(lines),
        positions=np.concatenate(positions).astype(np.int32),
        sequence_starts=np.cumsum([0, *map(len, lines)], dtype=np.int32),
        kv_lengths=np.array(lengths, np.int32),
        block_tables=_tables(live, max(lengths)),
        output_rows=np.arange(rows, dtype=np.int32),
    )


def _tables(live: Sequence[Runner], longest: int) -> Int32s:
    tables = np.full((len(live), -(-longest // BLOCK_TOKENS)), -1, np.int32)
    for row, runner in zip(tables, live, strict=True):
        count = min(len(row), len(runner.blocks))
        row[:count] = runner.blocks[:count]
    return tables


def _hear(runner: Runner, guess: list[int], picked: list[int]) -> None:
    """Take what the rows picked, as long as each came after tokens that were picked themselves."""
    runner.drafted += len(guess)
    for token, guessed in zip(picked, [*guess, None], strict=True):
        if token == NOT_FINITE:
            runner.ending = "not finite"
        elif token in runner.endings:
            runner.ending, runner.stop_token_id = "stop", token
        if runner.ending is not None:
            return
        runner.said.append(token)
        if token != guessed:
            return
        runner.accepted += 1
