"""llama.cpp's side of the bench, through llama-cpp-python's low-level calls.

Runs in the peer's own environment: imports nothing of Puna's.  Arguments: the
file, threads, flash attention (0, 1), unified KV cache (0, 1), and how many tokens to guess
by prompt lookup, as llama-cpp-python does it (0: none).  A shared prefix is computed once and
copied where the cache is unified.
"""

from __future__ import annotations

import ctypes
import sys
from time import perf_counter
from typing import Any

from bench.work import Prompts, Work
from bench.worker import absent, serve

try:
    import llama_cpp as lib
    import numpy as np
    from llama_cpp.llama_speculative import LlamaPromptLookupDecoding
except ImportError:
    absent("llama-cpp-python")

BATCH_TOKENS = 512
Row = tuple[int, int, int, bool]  # token, position, sequence, wants logits


SILENT = lib.llama_log_callback(lambda _level, _text, _data: None)
"""llama.cpp writes pages to stderr otherwise."""


class Side:
    """One model under one setting."""

    def __init__(self, path: str, threads: int, flash: bool, unified: bool, guessed: int) -> None:
        lib.llama_log_set(SILENT, ctypes.c_void_p(0))
        lib.llama_backend_init()
        self.model = lib.llama_model_load_from_file(path.encode(), lib.llama_model_default_params())
        self.vocabulary = lib.llama_vocab_n_tokens(lib.llama_model_get_vocab(self.model))
        self.threads, self.flash, self.unified = threads, flash, unified
        self.guessed = guessed
        self.batch = lib.llama_batch_init(BATCH_TOKENS, 0, 1)
        self.context: Any = None
        self.held: tuple[Work, int] | None = None  # what the context has read
        self.first: list[int] = []  # the tokens that follow it

    def measure(self, work: Work, seed: int) -> float:
        """Do the work; return the seconds of its timed part."""
        if work.shared or not work.new:
            return self.measure_all(work, seed)
        self.hold(work, seed)
        if self.guessed:
            return self.measure_guessing(work, seed)
        start, tokens = perf_counter(), self.first
        for step in range(work.new):
            tokens = self.decode([(t, work.context + step, s, True) for s, t in enumerate(tokens)])
        return perf_counter() - start

    def measure_guessing(self, work: Work, seed: int) -> float:
        """Time the tokens that follow one prompt; guesses that are true come for less."""
        (prompt,) = work.prompts(self.vocabulary, seed)
        text, length = [*prompt, *self.first], work.context + 1 + work.new
        guess = LlamaPromptLookupDecoding(num_pred_tokens=self.guessed)
        start = perf_counter()
        while len(text) < length:
            guesses = guess(np.array(text, np.intc)).tolist()[: length - len(text) - 1]
            rows = enumerate([text[-1], *guesses], len(text) - 1)
            picked = self.decode([(token, position, 0, True) for position, token in rows])
            text += picked[: 1 + agreeing(guesses, picked)]
            memory = lib.llama_get_memory(self.context)
            lib.llama_memory_seq_rm(memory, 0, len(text) - 1, -1)
        return perf_counter() - start

    def measure_all(self, work: Work, seed: int) -> float:
        """Time the prompts, and the tokens that follow them."""
        prompts = work.prompts(self.vocabulary, seed)
        self.open(work)
        start = perf_counter()
        tokens = self.prefill(work, prompts)
        for step in range(work.new - 1):
            tokens = self.decode([(t, work.context + step, s, True) for s, t in enumerate(tokens)])
        return perf_counter() - start

    def hold(self, work: Work, seed: int) -> None:
        """Read the prompts, or if they are read, forget what was said after them."""
        if self.held != (work, seed):
            self.open(work)
            self.first = self.prefill(work, work.prompts(self.vocabulary, seed))
            self.held = (work, seed)
        memory = lib.llama_get_memory(self.context)
        for sequence in range(work.sequences):
            lib.llama_memory_seq_rm(memory, sequence, work.context, -1)

    def open(self, work: Work) -> None:
        """Make a fresh context, just large enough."""
        if self.context is not None:
            lib.llama_free(self.context)
        self.held = None
        self.context = lib.llama_init_from_model(self.model, self.parameters(work))
        assert self.context is not None

    def parameters(self, work: Work) -> Any:
        params = lib.llama_context_default_params()
        per_sequence = -(-(work.context + work.new) // 256) * 256
        params.n_ctx = per_sequence * work.sequences
        params.n_batch = params.n_ubatch = BATCH_TOKENS
        params.n_seq_max = work.sequences
        params.n_threads = params.n_threads_batch = self.threads
        params.flash_attn_type = int(self.flash)
        params.kv_unified = self.unified
        return params

    def perplexity(self, windows: Prompts) -> float:
        """Read windows of token ids; exp of the mean surprise over their second halves."""
        surprises = []
        for window in windows:
            self.open(Work("window", 1, len(window), 0))
            self.decode([(token, i, 0, True) for i, token in enumerate(window)])
            for row in range(len(window) // 2, len(window) - 1):
                logits = self.logits(row).astype(np.float64)
                peak = logits.max()
                log_sum = peak + np.log(np.exp(logits - peak).sum())
                surprises.append(log_sum - logits[window[row + 1]])
        return float(np.exp(np.mean(surprises)))

    def prefill(self, work: Work, prompts: Prompts) -> list[int]:
        """Read all prompts; return each one's first token."""
        begin = 0
        if work.shared and work.copies and self.unified:
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
        return int(self.logits(row).argmax())

    def logits(self, row: int) -> Any:
        """Those after one row of the last batch, (vocabulary,)."""
        values = lib.llama_get_logits_ith(self.context, row)
        return np.ctypeslib.as_array(values, (self.vocabulary,))


def agreeing(guesses: list[int], picked: list[int]) -> int:
    """How many guesses came true before the first that did not."""
    pairs = zip(guesses, picked, strict=False)
    return next((i for i, (guess, pick) in enumerate(pairs) if guess != pick), len(guesses))


if __name__ == "__main__":
    path, threads, flash, unified, guessed = sys.argv[1:]
    serve(Side(path, int(threads), flash == "1", unified == "1", int(guessed)))
