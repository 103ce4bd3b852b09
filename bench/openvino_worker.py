"""OpenVINO GenAI's side of the bench: its pipeline over the same GGUF file.

Runs in the peer's own environment: imports nothing of Puna's.  Arguments: the
file and threads.  The pipeline takes one prompt at a time here, and gives no logits.
"""

from __future__ import annotations

import sys
from time import perf_counter

from bench.work import Prompts, Work
from bench.worker import absent, serve

try:
    import numpy as np
    import openvino
    import openvino_genai
except ImportError as error:
    absent(error.name or "openvino-genai")


class Side:
    """One pipeline."""

    def __init__(self, path: str, threads: int) -> None:
        self.pipeline = openvino_genai.LLMPipeline(path, "CPU", INFERENCE_NUM_THREADS=threads)
        self.vocabulary = len(self.pipeline.get_tokenizer().get_vocab())

    def measure(self, work: Work, seed: int) -> float:
        """Do the work; return the seconds of its timed part."""
        if work.sequences > 1:
            raise NotImplementedError("it takes one prompt at a time here")
        (prompt,) = work.prompts(self.vocabulary, seed)
        self.moments: list[float] = []
        start = perf_counter()
        self.generate(prompt, max(1, work.new + 1))
        return self.moments[-1] - (self.moments[0] if work.new else start)

    def generate(self, prompt: list[int], new: int) -> None:
        config = openvino_genai.GenerationConfig(
            max_new_tokens=new, min_new_tokens=new, ignore_eos=True
        )
        ids = openvino.Tensor(np.array([prompt], np.int64))
        self.pipeline.generate(ids, config, self.hear)

    def hear(self, _text: str) -> bool:
        """Note when a token came; never stop."""
        self.moments.append(perf_counter())
        return False

    def perplexity(self, windows: Prompts) -> float:
        raise NotImplementedError("the pipeline gives no logits")


if __name__ == "__main__":
    serve(Side(sys.argv[1], int(sys.argv[2])))
