"""llama.cpp's side of `against`, through llama-cpp-python's low-level calls.

Runs in the peer's own environment: imports nothing of Puna's.  Arguments: the
file, threads, flash attention (0, 1), unified KV cache (0, 1), and whether a
shared prefix is computed once and copied (1) or once a request (0).
"""

from __future__ import annotations

import ctypes
import sys
from time import perf_counter
from typing import Any

import llama_cpp as lib
import numpy as np

from bench.work import Work
from bench.worker import serve

BATCH_TOKENS = 512
Row = tuple[int, int, int, bool]  # token, position, sequence, wants logits


SILENT = lib.llama_log_callback(lambda _level, _text, _data: None)
"""llama.cpp writes pages to stderr otherwise."""


class Side:
    """One model under one setting; a fresh context for each measurement."""

    def __init__(
        self, path: str, threads: int, flash: bool, unified: bool, copies_prefix: bool
    ) -> None:
        lib.llama_log_set(SILENT, ctypes.c_void_p(0))
        lib.llama_backend_init()
        self.model = lib.llama_model_load_from_file(path.encode(), lib.llama_model_default_params())
        self.vocabulary = lib.llama_vocab_n_tokens(lib.llama_model_get_vocab(self.model))
        self.threads, self.flash, self.unified = threads, flash, unified
        self.copies_prefix = copies_prefix
        self.batch = lib.llama_batch_init(BATCH_TOKENS, 0, 1)

    def measure(self, work: Work, seed: int) -> float:
        """Do the work; return the seconds of its timed part."""
        prompts = work.prompts(self.vocabulary, seed)
        self.context = lib.llama_init_from_model(self.model, self.parameters(work))
        try:
            start = perf_counter()
            tokens = self.prefill(work, prompts)
            if work.new and not work.shared:
                start = perf_counter()
            for step in range(work.new - (1 if work.shared else 0)):
                tokens = self.decode(
                    [(t, work.context + step, s, True) for s, t in enumerate(tokens)]
                )
            return perf_counter() - start
        finally:
            lib.llama_free(self.context)

    def parameters(self, work: Work) -> Any:
        """A context just large enough."""
        params = lib.llama_context_default_params()
        per_sequence = -(-(work.context + work.new) // 256) * 256
        params.n_ctx = per_sequence * work.sequences
        params.n_batch = params.n_ubatch = BATCH_TOKENS
        params.n_seq_max = work.sequences
        params.n_threads = params.n_threads_batch = self.threads
        params.flash_attn_type = int(self.flash)
        params.kv_unified = self.unified
        return params

    def prefill(self, work: Work, prompts: list[list[int]]) -> list[int]:
        """Read all prompts; return each one's first token."""
        begin = 0
        if work.shared and self.copies_prefix:
            begin = work.shared
            self.read(prompts[0][:begin], 0, 0)
            memory = lib.llama_get_memory(self.context)
            for sequence in range(1, work.sequences):
                lib.llama_memory_seq_cp(memory, 0, sequence, 0, begin)
        return [self.read(prompt[begin:], begin, s) for s, prompt in enumerate(prompts)]

    def read(self, tokens: list[int], position: int, sequence: int) -> int:
        """Append tokens to a sequence; return what follows the last."""
        following: list[int] = []
        for start in range(0, len(tokens), BATCH_TOKENS):
            chunk = tokens[start : start + BATCH_TOKENS]
            last = start + len(chunk) == len(tokens)
            following = self.decode(
                [
                    (token, position + start + i, sequence, last and i == len(chunk) - 1)
                    for i, token in enumerate(chunk)
                ]
            )
        return following[0]

    def decode(self, rows: list[Row]) -> list[int]:
        """One llama_decode; the likeliest token after each row that wants logits."""
        for i, (token, position, sequence, wanted) in enumerate(rows):
            self.batch.token[i], self.batch.pos[i] = token, position
            self.batch.n_seq_id[i], self.batch.seq_id[i][0] = 1, sequence
            self.batch.logits[i] = wanted
        self.batch.n_tokens = len(rows)
        assert lib.llama_decode(self.context, self.batch) == 0
        return [self.likeliest(i) for i, row in enumerate(rows) if row[3]]

    def likeliest(self, row: int) -> int:
        logits = lib.llama_get_logits_ith(self.context, row)
        return int(np.ctypeslib.as_array(logits, (self.vocabulary,)).argmax())


if __name__ == "__main__":
    path, threads, *switches = sys.argv[1:]
    serve(Side(path, int(threads), *(switch == "1" for switch in switches)).measure)
