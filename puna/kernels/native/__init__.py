"""The kernels in C++: records a network once, then replays it for every step.

In and out: as `puna.kernels.Kernels` says.  A step is one call, without the
interpreter lock; knows no model.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from puna.errors import SettingError
from puna.kernels import Activation, Batch, Matrix, Network, Rope, Shape, Vector
from puna.kernels._native import Burst as _Burst
from puna.kernels._native import Runner as _Runner
from puna.kernels._native import Tape as _Tape
from puna.kernels._native import adopt_matrix, ceiling, isa, rope, vector
from puna.kernels.blocks import LAYOUTS
from puna.kernels.burst import BurstLimits, Ending, Runner
from puna.kernels.sampling import Draws

__all__ = ["Tape", "choose_isa", "isa", "measure_ceiling"]

SAMPLE_SHAPE = (44, 512)  # whole groups of rows and a part of one, two super-blocks
_ENDINGS: tuple[Ending | None, ...] = (None, "stop", "not finite")


def choose_isa(name: str | None = None) -> str:
    """Return the instruction set to use: `name`, or the best that runs here.

    Raises SettingError where this processor does not run it.
    """
    try:
        return isa(name)
    except ValueError as error:
        raise SettingError(f"{error}; leave PUNA_ISA unset to use the best that it runs") from error


def measure_ceiling(threads: int, isa: str | None = None) -> tuple[float, float]:
    """Measure the bytes read from memory and the multiplications per second, at best."""
    return ceiling(threads, choose_isa(isa))


class Tape:
    """The native backend; keeps the `Kernels` protocol."""

    def __init__(self, shape: Shape, threads: int | None = None, isa: str | None = None) -> None:
        """Allocate a cache and buffers; `isa` forces an instruction set, as PUNA_ISA does."""
        self.threads = threads or len(os.sched_getaffinity(0))
        try:
            self._tape = _Tape(**vars(shape), threads=self.threads, isa=choose_isa(isa))
        except RuntimeError as error:
            raise SettingError(
                f"{self.threads} threads cannot be started ({error}); lower PUNA_THREADS"
            ) from error
        self._burst = _Burst(self._tape)
        self._network: Network | None = None

    @property
    def isa(self) -> str:
        """The instruction set in use."""
        return self._tape.isa

    def matrix(
        self,
        type_name: str,
        shape: tuple[int, int],
        data: NDArray[np.uint8],
        row_order: NDArray[np.int32] | None = None,
    ) -> Matrix:
        """Pack the rows' blocks into groups of eight rows, all threads at once."""
        return self._tape.matrix(type_name, *shape, data, row_order)

    def layout(self) -> str:
        """Name how matrices lie in memory once packed: 16 hexadecimal digits.

        They are a hash of what packing a sample of each block type yields, so the name changes
        with the packing, and two instruction sets that pack alike share it.
        """
        digest = hashlib.sha256()
        for type_name, blocks in LAYOUTS.items():
            rows, columns = SAMPLE_SHAPE
            data = hashlib.shake_128(type_name.encode()).digest(blocks.nbytes(rows * columns))
            sample = np.frombuffer(data, np.uint8)
            digest.update(self.packed(self.matrix(type_name, SAMPLE_SHAPE, sample)).data)
        return digest.hexdigest()[:16]

    def packed(self, matrix: Matrix) -> NDArray[np.uint8]:
        """Return a matrix's packed bytes, a view of its memory."""
        packed: NDArray[np.uint8] = matrix.packed
        return packed

    def adopt(self, type_name: str, shape: tuple[int, int], packed: NDArray[np.uint8]) -> Matrix:
        """Take over a matrix that was packed before, without a copy; `packed` must not change.

        Raises ValueError where the bytes are not as many as such a matrix has, or do not begin
        at a cache line.
        """
        return adopt_matrix(type_name, *shape, packed)

    def bring_in(self, matrix: Matrix) -> None:
        """Map an adopted matrix's pages, all threads at once; what is not cached is read."""
        self._tape.bring_in(matrix)

    def vector(self, values: NDArray[np.float32]) -> Vector:
        """Copy the weights of a norm."""
        return vector(np.ascontiguousarray(values, np.float32))

    def rope(self, cos: NDArray[np.float32], sin: NDArray[np.float32]) -> Rope:
        """Copy the rotations."""
        return rope(np.ascontiguousarray(cos, np.float32), np.ascontiguousarray(sin, np.float32))

    def input(self, x: NDArray[np.float32]) -> Activation:
        """Record a constant."""
        return self._tape.input(np.ascontiguousarray(x, np.float32))

    def embed(self, table: Matrix) -> Activation:
        """Record an embedding look-up."""
        return self._tape.embed(table)

    def rms_norm(self, x: Activation, weight: Vector, eps: float) -> Activation:
        """Record a norm."""
        return self._tape.rms_norm(x, weight, eps)

    def linear(self, x: Activation, *matrices: Matrix) -> Activation:
        """Record products side by side."""
        return self._tape.linear(x, list(matrices))

    def linear_add(self, x: Activation, matrix: Matrix, residual: Activation) -> Activation:
        """Record a product on top of a residual."""
        return self._tape.linear_add(x, matrix, residual)

    def swiglu(self, x: Activation, gate: Matrix, up: Matrix) -> Activation:
        """Record a gated product."""
        return self._tape.swiglu(x, gate, up)

    def attention(self, qkv: Activation, rope: Rope, layer: int) -> Activation:
        """Record attention over the paged cache of `layer`."""
        return self._tape.attention(qkv, rope, layer)

    def output_rows(self, x: Activation) -> Activation:
        """Record the choice of the rows whose logits are wanted."""
        return self._tape.output_rows(x)

    def run(self, network: Network, batch: Batch) -> NDArray[np.float32]:
        """Record `network` when it is a new one, then replay it over `batch`."""
        self._record(network)
        return self._tape.run(
            batch.tokens,
            batch.positions,
            batch.sequence_starts,
            batch.kv_lengths,
            batch.block_tables,
            batch.output_rows,
        )

    def sample(self, logits: NDArray[np.float32], draws: Draws) -> NDArray[np.int32]:
        """Pick a token out of each row, the rows shared among the threads."""
        return self._tape.sample(np.ascontiguousarray(logits), draws.view(np.uint8))

    def burst(self, network: Network, runners: Sequence[Runner], limits: BurstLimits) -> int:
        """Run the steps in one call; guesses where it pays, as far as it has measured that."""
        self._record(network)
        native = [_enter(runner) for runner in runners]
        steps = self._burst.run(
            native,
            seconds=limits.seconds,
            steps=limits.steps,
            rows=limits.rows,
            lookup_sequences=limits.lookup_sequences,
            until_first_end=limits.until_first_end,
            thrifty=limits.thrifty,
        )
        for runner, ran in zip(runners, native, strict=True):
            _leave(runner, ran)
        return steps

    def _record(self, network: Network) -> None:
        if network == self._network:
            return
        self._network = None
        self._tape.begin()
        self._tape.end(network(self))
        self._network = network

    def copy_blocks(self, pairs: Iterable[tuple[int, int]]) -> None:
        """Copy whole cache blocks of all layers."""
        for source, target in pairs:
            self._tape.copy_block(source, target)

    def close(self) -> None:
        """Give back cache, buffers and weights."""
        self._network = None
        del self._burst, self._tape


def _enter(runner: Runner) -> _Runner:
    return _Runner(
        runner.tokens,
        runner.blocks,
        runner.endings,
        runner.draw.view(np.uint8),
        runner.room,
        runner.habits,
    )


def _leave(runner: Runner, ran: _Runner) -> None:
    runner.said += ran.said
    runner.ending = _ENDINGS[ran.ending]
    runner.stop_token_id = ran.stop_token if runner.ending == "stop" else None
    runner.habits[:] = ran.habits
    runner.drafted, runner.accepted = ran.drafted, ran.accepted
