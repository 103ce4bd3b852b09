"""Meta's tiktoken-format file, with made-up ranks and with the real ones."""

from __future__ import annotations

import base64
import random
from itertools import pairwise

import pytest

from puna.errors import MalformedFileError, UnsupportedModelError
from puna.text.tokenizer import Tokenizer
from tests.text.folder import folder

RANKS = 128_000


def ranked_tokens() -> list[bytes]:
    """256 bytes, then tokens each of which joins two earlier ones."""
    draw = random.Random(11)
    tokens = [bytes([byte]) for byte in range(256)]
    known = set(tokens)
    letters = [bytes([letter]) for letter in b"aehinorst"]
    while len(tokens) < RANKS:
        earlier = tokens[draw.randrange(256, len(tokens))] if len(tokens) > 300 else b""
        joined = (earlier or draw.choice(letters)) + draw.choice(letters)
        if joined not in known and len(joined) < 12:
            known.add(joined)
            tokens.append(joined)
    return tokens


def as_file(tokens: list[bytes]) -> bytes:
    lines = (base64.b64encode(token) + b" %d\n" % rank for rank, token in enumerate(tokens))
    return b"".join(lines)


@pytest.fixture(scope="module")
def tokens() -> list[bytes]:
    return ranked_tokens()


@pytest.fixture(scope="module")
def tokenizer(tokens: list[bytes]) -> Tokenizer:
    return Tokenizer.from_checkpoint(folder({"tokenizer.model": as_file(tokens)}))


def byte_pair_encode(word: bytes, ranks: dict[bytes, int]) -> list[int]:
    """Byte pair encoding by its definition: join the pair of lowest rank, leftmost first."""
    parts = [word[i : i + 1] for i in range(len(word))]
    while len(parts) > 1:
        pairs = [ranks.get(a + b, RANKS) for a, b in pairwise(parts)]
        if min(pairs) == RANKS:
            break
        at = pairs.index(min(pairs))
        parts[at : at + 2] = [parts[at] + parts[at + 1]]
    return [ranks[part] for part in parts]


def test_words_are_encoded_by_the_definition(tokens: list[bytes], tokenizer: Tokenizer) -> None:
    ranks, draw = {token: rank for rank, token in enumerate(tokens)}, random.Random(2)
    for _ in range(2_000):
        word = "".join(draw.choice("aehinorst") for _ in range(1 + draw.randrange(20)))
        whole = ranks.get(word.encode())
        expected = byte_pair_encode(word.encode(), ranks) if whole is None else [whole]
        assert tokenizer.encode(word) == expected


def test_llama_3s_special_tokens_follow_the_ranks(tokenizer: Tokenizer) -> None:
    assert len(tokenizer.special) == 256
    assert tokenizer.vocab_size == 128_256
    assert tokenizer.bos_id == tokenizer.special["<|begin_of_text|>"] == 128_000
    assert tokenizer.special["<|eot_id|>"] == 128_009
    assert tokenizer.special["<|python_tag|>"] == 128_010
    assert tokenizer.special["<|reserved_special_token_245|>"] == 128_255
    assert tokenizer.stop_ids == {128_001, 128_008, 128_009}


@pytest.mark.parametrize(
    "data",
    [b"YQ== 0\n!!!! 1\n", b"YQ== 0\nYg== 2\n", b"YQ== 0\nYg==\n", b"YQ== 0\nYQ== 1\n"],
)
def test_a_broken_line_is_a_named_error(data: bytes) -> None:
    with pytest.raises(MalformedFileError, match=r"tokenizer\.model"):
        Tokenizer.from_checkpoint(folder({"tokenizer.model": data}))


def test_another_vocabulary_is_unsupported(tokens: list[bytes]) -> None:
    with pytest.raises(UnsupportedModelError, match=r"tokenizer\.json"):
        Tokenizer.from_checkpoint(folder({"tokenizer.model": as_file(tokens[:300])}))
