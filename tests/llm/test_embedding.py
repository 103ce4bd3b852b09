"""Texts as vectors, on a tiny real Llama and on the default model."""

from __future__ import annotations

import threading
from pathlib import Path

import numpy as np
import pytest

from puna.engine import EngineSettings
from puna.engine.pooling import Pooling
from puna.errors import ContextOverflowError, InvalidParameterError
from puna.llm import LLM
from tests.tiny import TinyLlama

TEXTS = ["hello world", "it is the one on it. " * 20, "the"]


@pytest.mark.parametrize("pooling", ["mean", "last"])
def test_native_vectors_are_the_references(llm: LLM, tiny_path: Path, pooling: Pooling) -> None:
    with LLM(tiny_path, context_tokens=1024, kv_tokens=2048) as native:
        ours = native.embed(TEXTS, pooling=pooling).vectors
    np.testing.assert_allclose(ours, llm.embed(TEXTS, pooling=pooling).vectors, atol=2e-3)


def test_vectors_have_length_one_unless_they_are_wanted_raw(llm: LLM) -> None:
    embedded = llm.embed(TEXTS)
    assert embedded.vectors.shape == (3, 64)
    assert embedded.vectors.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(embedded.vectors, axis=1), 1, rtol=1e-6)
    raw = llm.embed(TEXTS, normalize=False).vectors
    lengths = np.linalg.norm(raw, axis=1, keepdims=True)
    assert (np.abs(lengths - 1) > 0.01).all()
    np.testing.assert_allclose(raw / lengths, embedded.vectors, atol=1e-6)


def test_usage_counts_the_prompts_tokens_and_no_answer(llm: LLM) -> None:
    usage = llm.embed(TEXTS, cache_salt="usage").usage
    assert usage.prompt_tokens == sum(len(llm.tokenize(text, opening=True)) for text in TEXTS)
    assert (usage.completion_tokens, usage.cached_tokens) == (0, 0)


def test_token_ids_are_taken_as_they_are_and_a_single_text_is_one_row(llm: LLM) -> None:
    ids = [llm.tokenize(text, opening=True) for text in TEXTS]
    vectors = llm.embed(TEXTS).vectors
    assert llm.embed(ids).vectors.tobytes() == vectors.tobytes()
    np.testing.assert_allclose(llm.embed("the").vectors, vectors[2:], atol=1e-6)


def test_fewer_dimensions_are_the_first_ones_scaled_again(llm: LLM) -> None:
    whole, cut = llm.embed(TEXTS).vectors, llm.embed(TEXTS, dimensions=10).vectors
    first = whole[:, :10]
    assert cut.shape == (3, 10)
    np.testing.assert_allclose(cut, first / np.linalg.norm(first, axis=1, keepdims=True), atol=1e-6)


def test_what_cannot_be_embedded_is_named(llm: LLM) -> None:
    for dimensions in (0, -1, 65, True, 2.5):
        with pytest.raises(InvalidParameterError, match="dimensions"):
            llm.embed("the", dimensions=dimensions)  # type: ignore[arg-type]
    with pytest.raises(InvalidParameterError, match="pooling"):
        llm.embed("the", pooling="max")  # type: ignore[arg-type]
    with pytest.raises(InvalidParameterError, match="nothing to embed"):
        llm.embed([])
    with pytest.raises(InvalidParameterError, match="no tokens"):
        llm.embed([[]])
    with pytest.raises(InvalidParameterError, match="token id"):
        llm.embed([[10**6]])
    with pytest.raises(ContextOverflowError):
        llm.embed([[1] * 1025])
    assert llm.load().held_blocks == 0


@pytest.mark.parametrize("pooling", ["mean", "last"])
def test_alone_is_as_in_a_crowd_bit_for_bit(tiny_path: Path, pooling: Pooling) -> None:
    """On the native kernels, beside answers, and with prompts cut into small chunks."""
    settings = EngineSettings(max_batch_tokens=40, max_sequences=8, prefill_beside_decode_tokens=8)
    with LLM(tiny_path, context_tokens=512, kv_tokens=2048) as roomy:
        alone = [roomy.embed(text, pooling=pooling).vectors.tobytes() for text in TEXTS]
    with LLM(tiny_path, context_tokens=512, kv_tokens=2048, settings=settings) as busy:
        said: list[str] = []
        talker = threading.Thread(
            target=lambda: said.extend(
                busy.complete([1, 2, 3, number], max_tokens=200, ignore_eos=True).text
                for number in range(3)
            )
        )
        talker.start()
        crowd = busy.embed([*TEXTS, *TEXTS], pooling=pooling).vectors
        talker.join()
    assert [row.tobytes() for row in crowd] == [*alone, *alone]
    assert len(said) == 3


def test_k_quants_embed_too(tmp_path: Path) -> None:
    path = TinyLlama.for_k_types(seed=4).write_gguf(tmp_path / "k.gguf", "Q4_K")
    with LLM(path, kv_tokens=512, context_tokens=256) as native:
        assert native.embed("hello world").vectors.shape == (1, 256)


def test_the_default_model_puts_a_sentence_next_to_its_variant(smollm2: LLM) -> None:
    """A chat model is no embedding model: only what is plain must hold."""
    texts = [
        "The cat sleeps on the warm sofa.",
        "A cat is sleeping on a warm sofa.",
        "def quicksort(items): return sorted(items, key=len)",
    ]
    vectors = smollm2.embed(texts).vectors
    assert vectors.shape == (3, 576)
    alike = vectors @ vectors.T
    assert alike[0, 1] > alike[0, 2] + 0.02
    assert alike[0, 1] > alike[1, 2] + 0.02
