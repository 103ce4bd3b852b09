"""The network gives a token the same logits whatever else is computed beside it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from puna.errors import SettingError
from puna.formats.checkpoint import open_checkpoint
from puna.kernels.blocks import LAYOUTS, dequantise, quantise
from puna.kernels.reference import Eager
from puna.model.config import LlamaConfig
from puna.model.llama import Llama
from puna.model.weights import load_weights
from tests.kernels.alone import shape
from tests.model.steps import Chunk, Tokens, batch_of, blocks_for, int32, read
from tests.tiny import TinyLlama

Logits = NDArray[np.float32]
BACKENDS = {"NumPy": (True, 1), "one thread": (False, 1), "two threads": (False, 2)}


@dataclass(frozen=True)
class Subject:
    """A network, and whether its results are repeatable to the bit."""

    llama: Llama
    exact: bool

    def assert_same(self, found: Logits, expected: Logits) -> None:
        """Compare bits; NumPy's products change with their shapes, so those to rounding."""
        if self.exact:
            assert found.tobytes() == expected.tobytes()
        else:
            np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5)


def opened(path: Path, *, reference: bool = False, threads: int = 1) -> Llama:
    with open_checkpoint(path) as checkpoint:
        return Llama.from_checkpoint(checkpoint, kv_blocks=64, reference=reference, threads=threads)


def rounded_reference(path: Path) -> Llama:
    """Open with the reference that rounds activations, keys and values as native kernels do."""
    with open_checkpoint(path) as checkpoint:
        config = LlamaConfig.from_checkpoint(checkpoint)
        sizes = shape(
            layers=config.num_hidden_layers,
            heads=config.num_attention_heads,
            kv_heads=config.num_key_value_heads,
            head_dim=config.head_dim,
        )
        eager = Eager(sizes, activations="rounded", kv_dtype=np.float16)
        weights = load_weights(checkpoint, config, eager, context_tokens=256)
    return Llama(config, weights, eager, sizes)


def random_tokens(count: int, seed: int) -> Tokens:
    return np.random.default_rng(seed).integers(0, 300, count).astype(np.int32)


@pytest.fixture(scope="module")
def mixture(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write a Llama in the block types of a usual download: Q4_K, Q6_K and Q8_0."""
    tiny = TinyLlama.for_k_types(seed=7, rope_scaling=True)
    types = {"output.weight": "Q6_K", "token_embd.weight": "Q8_0", "*": "Q4_K"}
    return tiny.write_gguf(tmp_path_factory.mktemp("llama") / "tiny.gguf", types)


@pytest.fixture(scope="module", params=BACKENDS)
def subject(request: pytest.FixtureRequest, mixture: Path) -> Iterator[Subject]:
    reference, threads = BACKENDS[request.param]
    llama = opened(mixture, reference=reference, threads=threads)
    yield Subject(llama, exact=not reference)
    llama.close()


@pytest.mark.parametrize("chunk_tokens", [1, 7, 32, 33])
def test_chunks_of_a_prompt_change_nothing(chunk_tokens: int, subject: Subject) -> None:
    tokens = random_tokens(100, seed=1)
    whole = read(subject.llama, tokens)
    subject.assert_same(read(subject.llama, tokens, chunk_tokens), whole)


def test_neighbours_change_nothing(subject: Subject) -> None:
    lengths = (100, 1, 40, 65)
    tokens = [random_tokens(length, seed=length) for length in lengths]
    places = [
        blocks_for(length, first) for length, first in zip(lengths, (0, 4, 5, 7), strict=True)
    ]
    alone = [read(subject.llama, t, blocks=b) for t, b in zip(tokens, places, strict=True)]
    chunks = [Chunk(t, 0, b) for t, b in zip(tokens, places, strict=True)]
    together = subject.llama.forward(batch_of(chunks))
    subject.assert_same(together, np.concatenate(alone))


def test_prefill_beside_decode_changes_nothing(subject: Subject) -> None:
    first, second = random_tokens(50, seed=2), random_tokens(70, seed=3)
    here, there = blocks_for(50), blocks_for(70, first=2)
    alone = read(subject.llama, first), read(subject.llama, second, blocks=there)
    read(subject.llama, first[:49], blocks=here)
    chunks = [Chunk(first[49:], 49, here), Chunk(second, 0, there)]
    together = subject.llama.forward(batch_of(chunks))
    subject.assert_same(together, np.concatenate([alone[0][49:], alone[1]]))


def test_only_the_wanted_rows_are_answered(subject: Subject) -> None:
    chunk = Chunk(random_tokens(30, seed=4), 0, blocks_for(30))
    whole = subject.llama.forward(batch_of([chunk]))
    some = subject.llama.forward(batch_of([chunk], int32([0, 13, 29])))
    subject.assert_same(some, whole[[0, 13, 29]])
    none = subject.llama.forward(batch_of([chunk], int32([])))
    assert none.shape == (0, subject.llama.config.vocab_size)


def test_scattered_cache_blocks_change_nothing(subject: Subject) -> None:
    tokens = random_tokens(100, seed=5)
    whole = read(subject.llama, tokens)
    subject.assert_same(read(subject.llama, tokens, 40, int32([63, 2, 40, 11])), whole)


def test_a_cached_prefix_answers_like_a_cold_one(subject: Subject) -> None:
    prefix, tail = random_tokens(64, seed=6), random_tokens(20, seed=7)
    cold = read(subject.llama, np.concatenate([prefix, tail]), blocks=int32([20, 21, 22]))
    read(subject.llama, prefix, blocks=int32([0, 1]))
    warm = subject.llama.forward(batch_of([Chunk(tail, 64, int32([0, 1, 30]))]))
    subject.assert_same(warm, cold[64:])


def test_copied_blocks_let_sequences_part(subject: Subject) -> None:
    stem, ends = random_tokens(40, seed=8), [random_tokens(5, seed=seed) for seed in (9, 10)]
    cold = [read(subject.llama, np.concatenate([stem, end]), 64, int32([20, 21])) for end in ends]
    read(subject.llama, stem, blocks=int32([0, 1]))
    subject.llama.copy_blocks([(1, 2)])
    chunks = [Chunk(e, 40, int32([0, b])) for e, b in zip(ends, (1, 2), strict=True)]
    forked = subject.llama.forward(batch_of(chunks))
    subject.assert_same(forked, np.concatenate([answer[40:] for answer in cold]))


def test_two_threads_and_one_give_the_same_bits(mixture: Path) -> None:
    tokens = random_tokens(90, seed=11)
    one, two = (read(opened(mixture, threads=threads), tokens) for threads in (1, 2))
    assert one.tobytes() == two.tobytes()


FINE_TYPES = ("F32", "F16", "BF16", "Q8_0")  # activations against these keep 16 bits or more


@pytest.mark.parametrize("type_name", FINE_TYPES)
@pytest.mark.parametrize("tied", [False, True])
def test_native_equals_the_reference(type_name: str, tied: bool, tmp_path: Path) -> None:
    tiny = TinyLlama.for_k_types(seed=12, tied=tied)
    path = tiny.write_gguf(tmp_path / "tiny.gguf", type_name)
    tokens = random_tokens(60, seed=13)
    expected = read(rounded_reference(path), tokens)
    assert np.abs(read(opened(path), tokens) - expected).max() < 2e-3


@pytest.mark.parametrize("type_name", [name for name in LAYOUTS if name not in FINE_TYPES])
@pytest.mark.parametrize("tied", [False, True])
def test_native_is_as_near_to_exact_as_its_rounding_allows(
    type_name: str, tied: bool, tmp_path: Path
) -> None:
    """Rounding to 8 bits makes a last bit's difference grow, so only sizes of errors compare."""
    tiny = TinyLlama.for_k_types(seed=12, tied=tied)
    path = tiny.write_gguf(tmp_path / "tiny.gguf", type_name)
    tokens = random_tokens(60, seed=13)
    exact = read(opened(path, reference=True), tokens)
    native, rounded = (
        read(llama, tokens) - exact for llama in (opened(path), rounded_reference(path))
    )
    assert np.sqrt(np.mean(native**2)) < 1.2 * np.sqrt(np.mean(rounded**2))


@dataclass(frozen=True)
class RoundedLlama(TinyLlama):
    """A Llama all of whose weights, the norms too, a 16-bit type holds exactly."""

    type_name: str = "F32"

    @cached_property
    def tensors(self) -> dict[str, NDArray[np.float32]]:
        """Round the weights once, before either format is written."""
        return {name: self._rounded(values) for name, values in super().tensors.items()}

    def _rounded(self, values: NDArray[np.float32]) -> NDArray[np.float32]:
        again = dequantise(quantise(values, self.type_name), self.type_name, values.size)
        return again.reshape(values.shape)


@pytest.mark.parametrize("reference", [True, False])
@pytest.mark.parametrize("type_name", ["F32", "F16", "BF16"])
@pytest.mark.parametrize("scaled", [False, True])
def test_both_formats_of_the_same_weights_give_the_same_logits(
    reference: bool, type_name: str, scaled: bool, tmp_path: Path
) -> None:
    tiny = RoundedLlama(seed=14, rope_scaling=scaled, type_name=type_name)
    one = tiny.write_gguf(tmp_path / "tiny.gguf", type_name)
    other = tiny.write_safetensors(tmp_path / "tiny", type_name)
    tokens = random_tokens(200, seed=15)
    ours, theirs = (read(opened(path, reference=reference), tokens) for path in (one, other))
    assert np.abs(ours - theirs).max() < (1e-4 if reference else 2e-3)


def test_the_context_is_what_training_and_cache_allow(mixture: Path) -> None:
    with open_checkpoint(mixture) as checkpoint:
        trained = LlamaConfig.from_checkpoint(checkpoint).max_position_embeddings
        for wanted, kv_blocks, expected in ((None, 2, 64), (40, 2, 40), (trained, 2, trained)):
            llama = Llama.from_checkpoint(
                checkpoint, context_tokens=wanted, kv_blocks=kv_blocks, reference=True
            )
            assert llama.context_tokens == expected
        for wanted in (0, -1, trained + 1):
            with pytest.raises(SettingError, match=str(trained)):
                Llama.from_checkpoint(checkpoint, context_tokens=wanted, kv_blocks=2)
