"""The vocabulary in a SentencePiece `tokenizer.model`, as Llama 1 and 2 have it.

In: a serialised ModelProto.  Out: a Vocabulary, through the keys that a GGUF
would carry.  Does not know protobuf beyond the fields that it needs.
Source: sentencepiece_model.proto.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import Any

import numpy as np

from puna.errors import MalformedFileError, UnsupportedModelError
from puna.text.vocabulary import Vocabulary
from puna.text.vocabulary_gguf import vocabulary_from_gguf

_PIECES, _TRAINER, _NORMALIZER = 1, 2, 3  # fields of ModelProto
_TEXT, _SCORE, _TYPE = 1, 2, 3  # of SentencePiece
_MODEL_TYPE, _BOS_ID, _EOS_ID = 3, 41, 42  # of TrainerSpec
_ADD_DUMMY_PREFIX = 3  # of NormalizerSpec
_BPE = 2
_NORMAL = 1

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5  # wire types


def vocabulary_from_sentencepiece(data: bytes) -> Vocabulary:
    """Read the pieces; raises MalformedFileError or UnsupportedModelError."""
    try:
        return vocabulary_from_gguf(_as_gguf_keys(data))
    except (IndexError, struct.error, UnicodeDecodeError, TypeError, AttributeError) as error:
        raise MalformedFileError(f"tokenizer.model is no SentencePiece model: {error}") from None


def _as_gguf_keys(data: bytes) -> dict[str, Any]:
    fields = list(_fields(data))
    pieces = [dict(_fields(value)) for field, value in fields if field == _PIECES]
    trainer = _message(fields, _TRAINER)
    if trainer.get(_MODEL_TYPE, 1) != _BPE:
        raise UnsupportedModelError(
            "tokenizer.model is a SentencePiece model of another kind than BPE; "
            "put the model's tokenizer.json into the folder"
        )
    return {
        "tokenizer.ggml.model": "llama",
        "tokenizer.ggml.tokens": [piece[_TEXT].decode() for piece in pieces],
        "tokenizer.ggml.scores": np.array([_float(piece) for piece in pieces], np.float32),
        "tokenizer.ggml.token_type": np.array([p.get(_TYPE, _NORMAL) for p in pieces], np.int32),
        "tokenizer.ggml.bos_token_id": trainer.get(_BOS_ID, 1),
        "tokenizer.ggml.eos_token_id": trainer.get(_EOS_ID, 2),
        "tokenizer.ggml.add_space_prefix": bool(
            _message(fields, _NORMALIZER).get(_ADD_DUMMY_PREFIX, 1)
        ),
    }


def _message(fields: list[tuple[int, Any]], wanted: int) -> dict[int, Any]:
    return {k: v for field, value in fields if field == wanted for k, v in _fields(value)}


def _float(piece: dict[int, Any]) -> float:
    value: float = struct.unpack("<f", piece.get(_SCORE, bytes(4)))[0]
    return value


def _fields(data: bytes) -> Iterator[tuple[int, Any]]:
    """Yield (field number, value): int for a varint, bytes for all else."""
    place = 0
    while place < len(data):
        key, place = _varint(data, place)
        field, wire = key >> 3, key & 7
        if wire == _VARINT:
            value, place = _varint(data, place)
            yield field, value
            continue
        length, place = _length(data, place, wire)
        if place + length > len(data):
            raise IndexError("a field runs past the end of the file")
        yield field, data[place : place + length]
        place += length


def _length(data: bytes, place: int, wire: int) -> tuple[int, int]:
    if wire == _BYTES:
        return _varint(data, place)
    if wire in (_FIXED32, _FIXED64):
        return (4 if wire == _FIXED32 else 8), place
    raise IndexError(f"unknown wire type {wire}")


def _varint(data: bytes, place: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[place]
        value |= (byte & 0x7F) << shift
        place, shift = place + 1, shift + 7
        if byte < 0x80:
            return value, place
        if shift > 63:
            raise IndexError("a varint is longer than 64 bits")
