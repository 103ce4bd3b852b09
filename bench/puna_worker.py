"""Puna's side of the bench: the engine itself, greedy, without text.

Arguments: the file, threads, and the instruction set, or "" for the widest.
"""

from __future__ import annotations

import math
import sys
from pathlib import Path
from time import perf_counter

from bench.work import Prompts, Work
from bench.worker import serve
from puna.engine import Engine, EngineSettings, Request, SamplingParams
from puna.formats import open_checkpoint
from puna.model.llama import Llama
from puna.model.packed import PackedCache
from puna.text.tokenizer import Tokenizer

KV_TOKENS = 20_480  # the largest work, and room for what is cached of the one before
LARGE_KV_TOKENS = 2_048
LARGE_BYTES = 2e9


class Side:
    """One model; a new engine for each measurement."""

    def __init__(self, path: Path, threads: int, isa: str) -> None:
        self.packed = PackedCache.of_user()
        with open_checkpoint(path) as checkpoint:
            Tokenizer.from_checkpoint(checkpoint)  # a start takes it too
            tokens = LARGE_KV_TOKENS if checkpoint.file_bytes > LARGE_BYTES else KV_TOKENS
            self.llama = Llama.from_checkpoint(
                checkpoint,
                kv_blocks=tokens // 32,
                threads=threads,
                isa=isa or None,
                packed=self.packed,
            )
        self.engine = Engine(self.llama, EngineSettings())

    def measure(self, work: Work, seed: int) -> float:
        """Do the work; return the seconds of its timed part."""
        self.start_empty(guess=work.lookup)
        prompts = work.prompts(self.llama.config.vocab_size, seed)
        if work.shared or not work.new:
            return self.run(prompts, max(1, work.new))
        self.run(prompts, 1)
        return self.run(prompts, work.new + 1, after_first=True)

    def start_empty(self, *, guess: bool) -> None:
        """Forget every prompt, for other work may begin alike; guess tokens from it, or do not.

        Random prompts say nothing of guessing.
        """
        lookup = EngineSettings().lookup_sequences if guess else 0
        self.engine = Engine(self.llama, EngineSettings(lookup_sequences=lookup))

    def run(self, prompts: Prompts, new: int, *, after_first: bool = False) -> float:
        """Answer all prompts at once; time everything, or what follows the first tokens.

        Some sequences may be ahead when the last has its first token: the time is that of all
        tokens at the speed of those that were timed.
        """
        params = SamplingParams(temperature=0.0, max_tokens=new, ignore_eos=True)
        requests = [Request(tuple(prompt), params, frozenset()) for prompt in prompts]
        waiting = {self.engine.submit(request) for request in requests}
        start, timed = perf_counter(), 0
        while not self.engine.idle:
            is_reading = bool(waiting)
            made = self.step()
            waiting.difference_update(made)
            if not after_first:
                continue
            if is_reading:
                start = perf_counter()
            else:
                timed += len(made)
        share = len(prompts) * (new - 1) / timed if after_first else 1.0
        return (perf_counter() - start) * share

    def step(self) -> list[int]:
        """Let the engine step; the request of each token that it made."""
        emissions = self.engine.step()
        for emission in emissions:
            if emission.error is not None:
                raise emission.error
        return [emission.request_id for emission in emissions if emission.token_id is not None]

    def perplexity(self, windows: Prompts) -> float:
        """Read windows of token ids; exp of the mean surprise over their second halves."""
        params = SamplingParams(max_tokens=0, prompt_logprobs=0)
        surprises: list[float] = []
        for window in windows:
            self.engine.submit(Request(tuple(window), params, frozenset()))
            scores = []
            while not self.engine.idle:
                scores += [s for emission in self.engine.step() for s in emission.prompt_scores]
            surprises += [-score.logprob for score in scores[len(window) // 2 :]]
        return math.exp(math.fsum(surprises) / len(surprises))


if __name__ == "__main__":
    side = Side(Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3])
    serve(side)
    side.packed.settle()  # the next start is to find packed weights
