"""The paged KV cache's bookkeeping: which block holds which tokens, and for whom.

In: sequences' token ids.  Out: block numbers, reused where the same tokens
came before.  Knows no key, no value and no network; it never sees a float.

A whole block is found by a hash chained over its parent's hash and its
tokens, rooted in the request's salt; the ids are compared on every hit, so a
collision cannot serve a stranger's keys.  A block that nobody holds keeps its
tokens until it is needed, least recently used first.
"""

from __future__ import annotations

from array import array
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from puna.engine.prefix import Prefix, PrefixIndex, root_of
from puna.kernels.batch import BLOCK_TOKENS

CopyBlocks = Callable[[Sequence[tuple[int, int]]], None]


@dataclass(slots=True)
class BlockTable:
    """The blocks that hold one sequence's keys and values, in order."""

    blocks: array[int]  # int32, as a batch's block_tables want them
    chain: list[bytes]  # the root, then each published block's hash

    @property
    def capacity_tokens(self) -> int:
        """Tokens that these blocks can hold."""
        return len(self.blocks) * BLOCK_TOKENS

    @property
    def published_tokens(self) -> int:
        """Tokens in the whole blocks that others may already share."""
        return (len(self.chain) - 1) * BLOCK_TOKENS


class KVCache:
    """A pool of blocks with reference counts and a prefix index over them."""

    def __init__(self, blocks: int, copy_blocks: CopyBlocks) -> None:
        self.blocks = blocks
        self._copy_blocks = copy_blocks
        self._references = [0] * blocks
        self._empty = list(range(blocks - 1, -1, -1))
        self._reusable: OrderedDict[int, None] = OrderedDict()  # held by nobody, oldest first
        self._index = PrefixIndex()

    @property
    def available(self) -> int:
        """Blocks that can be given out now, counting those kept only for reuse."""
        return len(self._empty) + len(self._reusable)

    @property
    def held(self) -> int:
        """Blocks that some sequence holds."""
        return self.blocks - self.available

    def open(
        self, tokens: array[int], salt: str, *, reuse_tokens: int, spare_blocks: int = 0
    ) -> tuple[BlockTable, int] | None:
        """Return a table with room for `tokens`, and how many of them it already holds.

        At most `reuse_tokens` are taken from the cache: whole blocks shared,
        the tokens after them copied.  None if that would leave fewer than
        `spare_blocks` available.
        """
        prefix = self._index.match(tokens, root_of(salt), reuse_tokens)
        wanted = blocks_for(len(tokens)) - len(prefix.blocks)
        woken = sum(self._references[block] == 0 for block in prefix.blocks)
        if wanted + woken + spare_blocks > self.available:
            return None
        return self._take(prefix, wanted)

    def grow(self, table: BlockTable, tokens: int) -> bool:
        """Make room for `tokens` in all; False, and nothing changed, if no block is left."""
        wanted = blocks_for(tokens) - len(table.blocks)
        if wanted > self.available:
            return False
        for _ in range(wanted):
            table.blocks.append(self._allocate())
        return True

    def publish(self, table: BlockTable, tokens: array[int], computed: int) -> None:
        """Let others share the whole blocks among the first `computed` of `tokens`."""
        while table.published_tokens + BLOCK_TOKENS <= computed:
            start = table.published_tokens
            block = table.blocks[len(table.chain) - 1]
            part = tokens[start : start + BLOCK_TOKENS].tobytes()
            table.chain.append(self._index.add(block, table.chain[-1], part))

    def publish_tail(self, table: BlockTable, tokens: array[int], computed: int) -> None:
        """Let others copy the tokens after the last whole block, too."""
        self.publish(table, tokens, computed)
        start = table.published_tokens
        if start < computed:
            part = tokens[start:computed].tobytes()
            self._index.add_tail(table.blocks[len(table.chain) - 1], table.chain[-1], part)

    def release(self, table: BlockTable) -> None:
        """Give the blocks back; what was published stays findable until it is overwritten."""
        for block in reversed(table.blocks):  # so that the deepest is overwritten first
            self._drop(block)
        del table.blocks[:], table.chain[1:]

    def forget(self, table: BlockTable) -> None:
        """Give the blocks back and let nobody find them again: their numbers are not sound."""
        for block in table.blocks:
            self._index.remove(block)
        self.release(table)

    def _take(self, prefix: Prefix, wanted: int) -> tuple[BlockTable, int]:
        table = BlockTable(array("i", prefix.blocks), list(prefix.chain))
        for block in prefix.blocks:
            self._hold(block)
        cached = table.published_tokens
        if prefix.tail_tokens and wanted and self._copy_tail(table, prefix.tail):
            cached += prefix.tail_tokens
            wanted -= 1
        table.blocks.extend(self._allocate() for _ in range(wanted))
        return table, cached

    def _copy_tail(self, table: BlockTable, source: int) -> bool:
        """Append a copy of `source`; False where the pool is too full to hold both."""
        self._hold(source)
        copied = self.available > 0
        if copied:
            table.blocks.append(self._allocate())
            self._copy_blocks([(source, table.blocks[-1])])
        self._drop(source)
        return copied

    def _allocate(self) -> int:
        if self._empty:
            block = self._empty.pop()
        else:
            block, _ = self._reusable.popitem(last=False)
            self._index.remove(block)
        self._references[block] = 1
        return block

    def _hold(self, block: int) -> None:
        if self._references[block] == 0:
            del self._reusable[block]
        self._references[block] += 1

    def _drop(self, block: int) -> None:
        assert self._references[block] > 0, f"block {block} is released twice"
        self._references[block] -= 1
        if self._references[block]:
            return
        if self._index.holds(block):
            self._reusable[block] = None
        else:
            self._empty.append(block)


def blocks_for(tokens: int) -> int:
    """Return how many blocks hold `tokens`."""
    return -(-tokens // BLOCK_TOKENS)
