"""The block pool under random histories: never a block in two hands, never a wrong hit."""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Sequence

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, invariant, rule

from puna.engine.cache import BlockTable, KVCache, blocks_for
from puna.engine.prefix import PrefixIndex, root_of
from puna.kernels.batch import BLOCK_TOKENS

BLOCKS = 12


class Store:
    """What the model would have in each slot of each block: the whole history up to it."""

    def __init__(self, blocks: int = BLOCKS) -> None:
        self.slots: list[list[tuple[str, tuple[int, ...]] | None]] = [
            [None] * BLOCK_TOKENS for _ in range(blocks)
        ]
        self.copies = 0

    def copy_blocks(self, pairs: Sequence[tuple[int, int]]) -> None:
        for source, target in pairs:
            self.slots[target] = list(self.slots[source])
            self.copies += 1

    def compute(self, held: Held, stop: int) -> None:
        for position in range(held.computed, stop):
            block = held.table.blocks[position // BLOCK_TOKENS]
            history = (held.salt, tuple(held.tokens[: position + 1]))
            self.slots[block][position % BLOCK_TOKENS] = history
        held.computed = stop

    def check(self, held: Held) -> None:
        for position in range(held.computed):
            block = held.table.blocks[position // BLOCK_TOKENS]
            expected = tuple(held.tokens[: position + 1])
            found = self.slots[block][position % BLOCK_TOKENS]
            assert found is not None
            assert found == (held.salt, expected), f"foreign row at {position}"


class Held:
    """A sequence as the cache sees it."""

    def __init__(self, tokens: list[int], salt: str, table: BlockTable, computed: int) -> None:
        self.tokens = array("i", tokens)
        self.salt = salt
        self.table = table
        self.computed = computed


# Few different tokens, so that prefixes meet and part at every place.
stems = st.sampled_from([[0] * 100, [1] * 100, [0] * 40 + [1] * 60, [0] * 70 + [2] * 30])


@st.composite
def prompts(draw: st.DrawFn) -> list[int]:
    stem = draw(stems)[: draw(st.integers(0, 100))]
    return stem + draw(st.lists(st.integers(0, 2), min_size=1, max_size=40))


class CacheMachine(RuleBasedStateMachine):
    held = Bundle("held")

    def __init__(self) -> None:
        super().__init__()
        self.store = Store()
        self.cache = KVCache(BLOCKS, self.store.copy_blocks)
        self.live: list[Held] = []

    @rule(
        target=held,
        tokens=prompts(),
        salt=st.sampled_from(["", "b"]),
        spare=st.integers(0, 2),
        less=st.integers(1, 40),
    )
    def open(self, tokens: list[int], salt: str, spare: int, less: int) -> Held | None:
        before = self.cache.available
        most = max(0, len(tokens) - less)
        ids = array("i", tokens)
        opened = self.cache.open(ids, salt, reuse_tokens=most, spare_blocks=spare)
        if opened is None:
            assert self.cache.available == before
            assert before < blocks_for(len(tokens)) + spare
            return None
        assert self.cache.available >= spare
        table, cached = opened
        assert cached <= most
        one = Held(tokens, salt, table, cached)
        assert len(table.blocks) == blocks_for(len(tokens))
        self.live.append(one)
        self.store.check(one)
        return one

    @rule(one=held, count=st.integers(1, 70))
    def compute(self, one: Held | None, count: int) -> None:
        if one is not None:
            self.store.compute(one, min(one.computed + count, len(one.tokens)))
            self.cache.publish(one.table, one.tokens, one.computed)

    @rule(one=held)
    def share_tail(self, one: Held | None) -> None:
        if one is not None:
            self.cache.publish_tail(one.table, one.tokens, one.computed)

    @rule(one=held, token=st.integers(0, 2))
    def decode(self, one: Held | None, token: int) -> None:
        if one is None:
            return
        one.tokens.append(token)
        room = self.cache.available
        if self.cache.grow(one.table, len(one.tokens)):
            self.store.compute(one, len(one.tokens))
            self.cache.publish(one.table, one.tokens, one.computed)
        else:
            assert room == 0
            one.tokens.pop()

    @rule(one=consumes(held), tail=st.booleans())
    def release(self, one: Held | None, tail: bool) -> None:
        if one is not None:
            if tail:
                self.cache.publish_tail(one.table, one.tokens, one.computed)
            self.live.remove(one)
            self.cache.release(one.table)

    @rule(one=consumes(held))
    def forget(self, one: Held | None) -> None:
        if one is not None:
            self.live.remove(one)
            self.cache.forget(one.table)

    @invariant()
    def every_block_is_somewhere_once(self) -> None:
        distinct = {block for one in self.live for block in one.table.blocks}
        assert self.cache.held == len(distinct)
        assert self.cache.available == BLOCKS - len(distinct)

    @invariant()
    def no_sequence_has_a_block_twice(self) -> None:
        for one in self.live:
            assert max(Counter(one.table.blocks).values(), default=1) == 1

    @invariant()
    def every_row_is_its_own(self) -> None:
        for one in self.live:
            self.store.check(one)


CacheMachine.TestCase.settings = settings(max_examples=80, stateful_step_count=40)
TestCacheHistories = CacheMachine.TestCase


def opened(cache: KVCache, store: Store, tokens: list[int], salt: str = "") -> tuple[Held, int]:
    """Open, compute and publish everything; return the sequence and what was cached."""
    got = cache.open(array("i", tokens), salt, reuse_tokens=len(tokens) - 1)
    assert got is not None
    held = Held(tokens, salt, *got)
    store.compute(held, len(tokens))
    cache.publish_tail(held.table, held.tokens, held.computed)
    return held, got[1]


@pytest.fixture
def store() -> Store:
    return Store()


@pytest.fixture
def cache(store: Store) -> KVCache:
    return KVCache(BLOCKS, store.copy_blocks)


@pytest.mark.parametrize("shared", [0, 1, 31, 32, 33, 63, 64, 65, 99])
def test_a_prefix_is_found_to_the_token(cache: KVCache, store: Store, shared: int) -> None:
    first, _ = opened(cache, store, [5] * 100)
    second, cached = opened(cache, store, [5] * shared + [6] * (100 - shared))
    assert cached == shared
    store.check(first)
    store.check(second)


def test_whole_blocks_are_shared_and_the_rest_is_copied(cache: KVCache, store: Store) -> None:
    opened(cache, store, [5] * 80)
    opened(cache, store, [5] * 80)
    assert cache.held == 3 + 1
    assert store.copies == 1


def test_the_last_token_is_never_taken_from_the_cache(cache: KVCache, store: Store) -> None:
    opened(cache, store, [5] * 64)
    _, cached = opened(cache, store, [5] * 64)
    assert cached == 63


def test_a_released_prefix_is_found_until_its_blocks_are_needed(
    cache: KVCache, store: Store
) -> None:
    held, _ = opened(cache, store, [5] * 64)
    cache.release(held.table)
    again, cached = opened(cache, store, [5] * 64)
    assert cached == 63
    cache.release(again.table)
    big, _ = opened(cache, store, [7] * BLOCKS * BLOCK_TOKENS)
    cache.release(big.table)
    _, cached = opened(cache, store, [5] * 64)
    assert cached == 0


def test_the_least_recently_used_is_overwritten_first(cache: KVCache, store: Store) -> None:
    for token in (1, 2, 1):
        cache.release(opened(cache, store, [token] * 96)[0].table)
    cache.release(opened(cache, store, [3] * 32 * 8)[0].table)  # 12 - 8 leaves 4 of the 6
    assert opened(cache, store, [1] * 96)[1] == 95


def test_a_tail_is_given_up_where_the_pool_cannot_hold_source_and_copy(store: Store) -> None:
    cache = KVCache(1, store.copy_blocks)
    cache.release(opened(cache, store, [5] * 20)[0].table)
    held, cached = opened(cache, store, [5] * 25)
    assert cached == 0
    store.check(held)


def test_equal_tokens_under_another_salt_are_strangers(cache: KVCache, store: Store) -> None:
    opened(cache, store, [5] * 64, salt="a")
    assert opened(cache, store, [5] * 64, salt="b")[1] == 0


def test_a_hash_collision_is_no_hit() -> None:
    """Two blocks under one hash: the ids decide."""
    index = PrefixIndex()
    tokens, root = array("i", [5] * 64), root_of("")
    key = index.add(3, root, tokens[:32].tobytes())
    forged = array("i", [6] * 32).tobytes()
    index.remove(3)
    index.add(3, root, forged)
    index._by_key[key] = 3
    assert index.match(tokens, root, 64).blocks == ()


def test_forgotten_blocks_are_not_found(cache: KVCache, store: Store) -> None:
    held, _ = opened(cache, store, [5] * 70)
    cache.forget(held.table)
    assert cache.held == 0
    assert opened(cache, store, [5] * 70)[1] == 0


def test_a_block_released_twice_is_our_own_mistake(cache: KVCache, store: Store) -> None:
    held, _ = opened(cache, store, [5] * 10)
    copy = BlockTable(array("i", held.table.blocks), list(held.table.chain))
    cache.release(held.table)
    with pytest.raises(AssertionError):
        cache.release(copy)


def test_a_popular_prefix_does_not_slow_the_search_down(store: Store) -> None:
    """A thousand continuations of one block: the search looks at few of them."""
    index, root = PrefixIndex(), root_of("")
    for block in range(1000):
        index.add_tail(block, root, array("i", [1, block]).tobytes())
    match = index.match(array("i", [1, 999, 5]), root, 2)
    assert (match.tail, match.tail_tokens) == (999, 2)
