"""A Llama whose weights were set by hand so that it calls a tool, and answers once it was called.

In: what it calls and what it says.  Out: a GGUF file of one layer that any engine runs as it runs
every other.  It has learnt nothing: after a header's line break it says the call, token by token;
where the tool's turn ("ipython") stands anywhere before, its one attention head sees that word,
and it says the answer.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from puna.formats.blocks import F32
from puna.formats.gguf_writer import TensorSource, write_gguf
from puna.text.alphabet import BYTE_CHARACTERS, spell
from tests.tiny_tokenizer import CHAT_TEMPLATE

F32Array = NDArray[np.float32]

HIDDEN = INTERMEDIATE = 64
HEAD = 16
SLOWEST = HEAD - 2  # the pair of a head that turns least with the position
CONTEXT = 16_384  # a byte is a token: the tools' schemas are long
CONTROL = ("<|begin_of_text|>", "<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>")
TURN_OF_A_TOOL, LINE_BREAK = "ipython", spell(b"\n")
ALWAYS, HEARD, SAW, BEGIN, SAID = range(5)  # hidden dimensions; from SAID on one for each token
SURE = 100.0  # nats, before the last norm: no sampling chooses otherwise


class Calling:
    """`call` and `answer` in tokens, each of them different."""

    def __init__(self, call: Sequence[str], answer: Sequence[str]) -> None:
        self._call, self._answer = map(_spelt, (call, answer))
        first, second = BYTE_CHARACTERS[:2]
        said = (*self._call, *self._answer)
        self._tokens = [*BYTE_CHARACTERS, first + second, TURN_OF_A_TOOL, *said, *CONTROL]
        self._dimension = {token: SAID + at for at, token in enumerate(said)}

    def write(self, path: Path) -> Path:
        path.parent.mkdir(parents=True, exist_ok=True)
        sources = [_source(name, values) for name, values in self._weights()]
        write_gguf(path, self._metadata(), sources)
        return path

    def _weights(self) -> Iterator[tuple[str, F32Array]]:
        one = np.ones(HIDDEN, np.float32)
        yield "token_embd.weight", self._embedding()
        yield "blk.0.attn_norm.weight", one
        yield "blk.0.attn_q.weight", _matrix(HEAD, HIDDEN, {(SLOWEST, ALWAYS): 4})
        yield "blk.0.attn_k.weight", _matrix(HEAD, HIDDEN, {(SLOWEST, HEARD): 4})
        yield "blk.0.attn_v.weight", _matrix(HEAD, HIDDEN, {(0, HEARD): 1})
        yield "blk.0.attn_output.weight", _matrix(HIDDEN, HEAD, {(SAW, 0): 1})
        yield "blk.0.ffn_norm.weight", one
        yield "blk.0.ffn_gate.weight", _matrix(INTERMEDIATE, HIDDEN, {})
        yield "blk.0.ffn_up.weight", _matrix(INTERMEDIATE, HIDDEN, {})
        yield "blk.0.ffn_down.weight", _matrix(HIDDEN, INTERMEDIATE, {})
        yield "output_norm.weight", one
        yield "output.weight", self._head()

    def _embedding(self) -> F32Array:
        marks = {TURN_OF_A_TOOL: HEARD, LINE_BREAK: BEGIN, **self._dimension}
        cells = {(self._id(token), dimension): 1.0 for token, dimension in marks.items()}
        always = {(token, ALWAYS): 1.0 for token in range(len(self._tokens))}
        return _matrix(len(self._tokens), HIDDEN, always | cells)

    def _head(self) -> F32Array:
        """After a token of a saying the next one; at a line break the saying that is due."""
        call, answer = self._id(self._call[0]), self._id(self._answer[0])
        cells = {(call, BEGIN): SURE / 5, (call, SAW): -SURE, (answer, BEGIN): SURE / 10}
        for saying in (self._call, self._answer):
            for token, following in pairwise((*saying, CONTROL[-1])):
                cells[self._id(following), self._dimension[token]] = SURE
        return _matrix(len(self._tokens), HIDDEN, cells)

    def _id(self, token: str) -> int:
        return self._tokens.index(token)

    def _metadata(self) -> dict[str, Any]:
        types = np.ones(len(self._tokens), np.int32)  # ggml's number for plain tokens
        types[-len(CONTROL) :] = 3
        shape = {
            "block_count": 1,
            "context_length": CONTEXT,
            "embedding_length": HIDDEN,
            "feed_forward_length": INTERMEDIATE,
            "attention.head_count": 1,
            "attention.head_count_kv": 1,
            "attention.key_length": HEAD,
            "attention.value_length": HEAD,
            "attention.layer_norm_rms_epsilon": 1e-5,
            "rope.dimension_count": HEAD,
            "rope.freq_base": 1e8,
            "vocab_size": len(self._tokens),
        }
        return {
            "general.architecture": "llama",
            **{f"llama.{key}": value for key, value in shape.items()},
            "tokenizer.ggml.model": "gpt2",
            "tokenizer.ggml.pre": "llama-bpe",
            "tokenizer.ggml.tokens": self._tokens,
            "tokenizer.ggml.token_type": types,
            "tokenizer.ggml.merges": [" ".join(BYTE_CHARACTERS[:2])],
            "tokenizer.ggml.bos_token_id": self._id(CONTROL[0]),
            "tokenizer.ggml.eos_token_id": self._id(CONTROL[-1]),
            "tokenizer.chat_template": CHAT_TEMPLATE,
        }


def _spelt(saying: Sequence[str]) -> list[str]:
    return [spell(token.encode()) for token in saying]


def _matrix(rows: int, columns: int, cells: dict[tuple[int, int], float]) -> F32Array:
    matrix = np.zeros((rows, columns), np.float32)
    for place, value in cells.items():
        matrix[place] = value
    return matrix


def _source(name: str, values: F32Array) -> TensorSource:
    return TensorSource(name, F32, values.shape, lambda: [values.tobytes()])
