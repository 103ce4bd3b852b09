"""Chunks side by side become the arrays of the contract."""

from __future__ import annotations

from array import array

from puna.engine import SamplingParams
from puna.engine.batch import BatchBuilder, output_positions
from puna.engine.cache import BlockTable
from puna.engine.request import Request
from puna.engine.scheduler import Chunk
from puna.engine.sequence import Sequence
from tests.engine.scripted import small


def chunk(start: int, stop: int, tokens: int, blocks: list[int], scores: bool = False) -> Chunk:
    params = SamplingParams(prompt_logprobs=0 if scores else None)
    sequence = Sequence(0, 0, Request(tuple(range(tokens)), params), 10, 0.0)
    sequence.table = BlockTable(array("i", blocks), [b""])
    sequence.computed = start
    return Chunk(sequence, start, stop)


def test_arrays_are_laid_out_as_the_contract_says() -> None:
    builder = BatchBuilder(small(), context_tokens=128, max_outputs=50)
    builder.build([chunk(0, 40, 50, [9, 8])])
    batch = builder.build([chunk(33, 34, 34, [7, 3]), chunk(2, 5, 9, [5]), chunk(0, 2, 2, [6])])
    batch.check()
    assert batch.tokens.tolist() == [33, 2, 3, 4, 0, 1]
    assert batch.positions.tolist() == [33, 2, 3, 4, 0, 1]
    assert batch.sequence_starts.tolist() == [0, 1, 4, 6]
    assert batch.kv_lengths.tolist() == [34, 5, 2]
    assert batch.block_tables.tolist() == [[7, 3], [5, -1], [6, -1]]
    assert batch.output_rows.tolist() == [0, 5]
    assert batch.block_tables.flags.c_contiguous


def test_blocks_beyond_a_chunk_are_not_shown() -> None:
    builder = BatchBuilder(small(), context_tokens=128, max_outputs=50)
    batch = builder.build([chunk(0, 40, 100, [4, 2, 1, 3])])
    assert batch.block_tables.tolist() == [[4, 2]]


def test_prompt_scores_ask_for_every_row_but_the_last_which_samples() -> None:
    assert output_positions(chunk(0, 3, 5, [0], scores=True)) == [0, 1, 2]
    assert output_positions(chunk(3, 5, 5, [0], scores=True)) == [3, 4]
    assert output_positions(chunk(0, 3, 5, [0])) == []
    later = chunk(0, 5, 5, [0], scores=True)
    later.sequence.scored = 3
    assert output_positions(later) == [2, 3, 4]
