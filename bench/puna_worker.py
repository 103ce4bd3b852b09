"""Puna's side of `against`: the engine itself, greedy, without text."""

from __future__ import annotations

import sys
from pathlib import Path
from time import perf_counter

from bench.work import Work
from bench.worker import serve
from puna.engine import Engine, EngineSettings, Request, SamplingParams
from puna.formats import open_checkpoint
from puna.model.llama import Llama

KV_BLOCKS = 640  # 20,480 tokens: the largest work, and room for what is cached of the one before


class Side:
    """One engine over one model."""

    def __init__(self, path: Path, threads: int) -> None:
        with open_checkpoint(path) as checkpoint:
            self.llama = Llama.from_checkpoint(checkpoint, kv_blocks=KV_BLOCKS, threads=threads)
        self.engine = Engine(self.llama, EngineSettings(max_sequences=64))

    def measure(self, work: Work, seed: int) -> float:
        """Do the work; return the seconds of its timed part."""
        prompts = work.prompts(self.llama.config.vocab_size, seed)
        if work.shared or not work.new:
            return self.run(prompts, max(1, work.new))
        self.run(prompts, 1)
        return self.run(prompts, work.new + 1, after_first=True)

    def run(self, prompts: list[list[int]], new: int, *, after_first: bool = False) -> float:
        """Answer all prompts at once; time everything, or what follows the first tokens."""
        params = SamplingParams(temperature=0.0, max_tokens=new, ignore_eos=True)
        waiting = {
            self.engine.submit(Request(tuple(prompt), params, frozenset())) for prompt in prompts
        }
        start = perf_counter()
        while not self.engine.idle:
            for emission in self.engine.step():
                if after_first and emission.token_id is not None and waiting:
                    waiting.discard(emission.request_id)
                    if not waiting:
                        start = perf_counter()
        return perf_counter() - start


if __name__ == "__main__":
    serve(Side(Path(sys.argv[1]), int(sys.argv[2])).measure)
