"""Types of the C++ module that bindings.cpp makes."""

import numpy as np
from numpy.typing import NDArray

class Matrix:
    nbytes: int
    shape: tuple[int, int]
    packed: NDArray[np.uint8]

class Vector: ...
class Rope: ...

class Buffer:
    width: int

def ceiling(threads: int, isa: str | None) -> tuple[float, float]: ...
def adopt_matrix(type_name: str, rows: int, columns: int, packed: NDArray[np.uint8]) -> Matrix: ...
def isa(name: str | None = None) -> str: ...
def vector(values: NDArray[np.float32]) -> Vector: ...
def rope(cos: NDArray[np.float32], sin: NDArray[np.float32]) -> Rope: ...

class Tape:
    isa: str
    def __init__(
        self,
        *,
        layers: int,
        heads: int,
        kv_heads: int,
        head_dim: int,
        kv_blocks: int,
        max_batch_tokens: int,
        context_tokens: int,
        kv_type: str,
        threads: int,
        isa: str | None,
    ) -> None: ...
    def matrix(
        self,
        type_name: str,
        rows: int,
        columns: int,
        data: NDArray[np.uint8],
        row_order: NDArray[np.int32] | None = None,
    ) -> Matrix: ...
    def bring_in(self, matrix: Matrix) -> None: ...
    def begin(self) -> None: ...
    def end(self, result: Buffer) -> None: ...
    def input(self, x: NDArray[np.float32]) -> Buffer: ...
    def embed(self, table: Matrix) -> Buffer: ...
    def rms_norm(self, x: Buffer, weight: Vector, eps: float) -> Buffer: ...
    def linear(self, x: Buffer, matrices: list[Matrix]) -> Buffer: ...
    def linear_add(self, x: Buffer, matrix: Matrix, residual: Buffer) -> Buffer: ...
    def swiglu(self, x: Buffer, gate: Matrix, up: Matrix) -> Buffer: ...
    def attention(self, qkv: Buffer, rope: Rope, layer: int) -> Buffer: ...
    def output_rows(self, x: Buffer) -> Buffer: ...
    def run(
        self,
        tokens: NDArray[np.int32],
        positions: NDArray[np.int32],
        sequence_starts: NDArray[np.int32],
        kv_lengths: NDArray[np.int32],
        block_tables: NDArray[np.int32],
        output_rows: NDArray[np.int32],
    ) -> NDArray[np.float32]: ...
    def sample(
        self, logits: NDArray[np.float32], draws: NDArray[np.uint8]
    ) -> NDArray[np.int32]: ...
    def copy_block(self, source: int, target: int) -> None: ...

class Runner:
    said: list[int]
    ending: int
    stop_token: int
    habits: list[float]
    drafted: int
    accepted: int
    def __init__(
        self,
        tokens: NDArray[np.int32],
        blocks: NDArray[np.int32],
        endings: NDArray[np.int32],
        draw: NDArray[np.uint8],
        room: int,
        habits: NDArray[np.float32],
    ) -> None: ...

class Burst:
    def __init__(self, tape: Tape) -> None: ...
    def run(
        self,
        runners: list[Runner],
        *,
        seconds: float,
        steps: int,
        rows: int,
        lookup_sequences: int,
        until_first_end: bool,
        thrifty: bool,
    ) -> int: ...
