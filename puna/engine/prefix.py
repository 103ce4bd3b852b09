"""Which cached block continues which, so that a prompt finds what came before it.

In: blocks with their tokens, and prompts.  Out: the longest run of cached
tokens that a prompt starts with.  Knows no reference counts and no sequence.
"""

from __future__ import annotations

import hashlib
from array import array
from dataclasses import dataclass
from itertools import islice

from puna.kernels.batch import BLOCK_TOKENS

_TOKEN_BYTES = array("i").itemsize
_BLOCK_BYTES = BLOCK_TOKENS * _TOKEN_BYTES
_SIBLINGS_TRIED = 32  # bounds the search among continuations of one popular prefix


@dataclass(frozen=True, slots=True)
class Prefix:
    """A prompt's cached start: whole blocks to share, then a block to copy from."""

    blocks: tuple[int, ...]
    chain: tuple[bytes, ...]  # the root, then one hash a block
    tail: int = -1
    tail_tokens: int = 0  # how many of the tail block's tokens are the prompt's


@dataclass(frozen=True, slots=True)
class _Entry:
    parent: bytes
    tokens: bytes  # as int32, up to a block's worth
    key: bytes | None  # the chained hash; None for a tail, which is no whole block yet


class PrefixIndex:
    """Published blocks, by chained hash and by parent."""

    def __init__(self) -> None:
        self._entries: dict[int, _Entry] = {}
        self._by_key: dict[bytes, int] = {}
        # Blocks after the same parent that begin with the same token, latest last.
        self._siblings: dict[tuple[bytes, bytes], dict[int, None]] = {}

    def holds(self, block: int) -> bool:
        """Tell whether the block can be found."""
        return block in self._entries

    def add(self, block: int, parent: bytes, tokens: bytes) -> bytes:
        """Publish a whole block and return its hash; an equal one that is there stays."""
        key = _chained(parent, tokens)
        self.remove(block)
        if key not in self._by_key:
            self._by_key[key] = block
            self._insert(block, _Entry(parent, tokens, key))
        return key

    def add_tail(self, block: int, parent: bytes, tokens: bytes) -> None:
        """Publish the first tokens of a block that is not full."""
        self.remove(block)
        self._insert(block, _Entry(parent, tokens, None))

    def remove(self, block: int) -> None:
        """Let nobody find the block any more."""
        entry = self._entries.pop(block, None)
        if entry is None:
            return
        if entry.key is not None:
            del self._by_key[entry.key]
        family = (entry.parent, entry.tokens[:_TOKEN_BYTES])
        del self._siblings[family][block]
        if not self._siblings[family]:
            del self._siblings[family]

    def match(self, tokens: array[int], root: bytes, most: int) -> Prefix:
        """Return the longest cached start of `tokens`, of at most `most` tokens."""
        blocks: list[int] = []
        chain = [root]
        while (len(blocks) + 1) * BLOCK_TOKENS <= most:
            start = len(blocks) * BLOCK_TOKENS
            block = self._whole(chain, tokens[start : start + BLOCK_TOKENS].tobytes())
            if block is None:
                break
            blocks.append(block)
        start = len(blocks) * BLOCK_TOKENS
        tail, shared = self._tail(chain[-1], tokens[start : min(start + BLOCK_TOKENS, most)])
        return Prefix(tuple(blocks), tuple(chain), tail, shared)

    def _whole(self, chain: list[bytes], tokens: bytes) -> int | None:
        key = _chained(chain[-1], tokens)
        block = self._by_key.get(key)
        if block is None:
            return None
        entry = self._entries[block]
        if entry.parent != chain[-1] or entry.tokens != tokens:  # a hash collision
            return None
        chain.append(key)
        return block

    def _tail(self, parent: bytes, tokens: array[int]) -> tuple[int, int]:
        """Return the block after `parent` that shares most of `tokens`, and how many."""
        wanted = tokens.tobytes()
        siblings = self._siblings.get((parent, wanted[:_TOKEN_BYTES]), {})
        best, shared = -1, 0
        for block in islice(reversed(siblings), _SIBLINGS_TRIED):
            length = shared_tokens(self._entries[block].tokens, wanted)
            if length > shared:
                best, shared = block, length
        return best, shared

    def _insert(self, block: int, entry: _Entry) -> None:
        self._entries[block] = entry
        family = (entry.parent, entry.tokens[:_TOKEN_BYTES])
        self._siblings.setdefault(family, {})[block] = None


def root_of(salt: str) -> bytes:
    """Return the hash that every chain under this salt begins with."""
    return hashlib.blake2b(salt.encode("utf-8", "surrogatepass"), digest_size=16).digest()


def _chained(parent: bytes, tokens: bytes) -> bytes:
    return hashlib.blake2b(parent + tokens, digest_size=16).digest()


def shared_tokens(left: bytes, right: bytes) -> int:
    """Return how many whole tokens two strings of int32 have in common at their start."""
    low, high = 0, min(len(left), len(right)) // _TOKEN_BYTES
    while low < high:
        middle = (low + high + 1) // 2
        size = middle * _TOKEN_BYTES
        low, high = (middle, high) if left[:size] == right[:size] else (low, middle - 1)
    return low
