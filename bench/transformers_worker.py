"""transformers' side of the bench: PyTorch on the file's weights, unpacked to float32.

Runs in the peer's own environment: imports nothing of Puna's.  Arguments: the
file and threads.
"""

from __future__ import annotations

import sys
from pathlib import Path
from time import perf_counter
from typing import Any

from bench.work import Prompts, Work
from bench.worker import absent, serve

try:
    import accelerate  # noqa: F401 (transformers reads GGUF files with it
    import gguf  # noqa: F401 (and with this)
    import torch
    import transformers
except ImportError as error:
    absent(error.name or "transformers")


class Side:
    """One model."""

    def __init__(self, path: Path, threads: int) -> None:
        torch.set_num_threads(threads)
        torch.set_grad_enabled(False)
        transformers.logging.set_verbosity_error()
        transformers.logging.disable_progress_bar()
        self.model = transformers.AutoModelForCausalLM.from_pretrained(
            path.parent, gguf_file=path.name, dtype=torch.float32
        )

    def measure(self, work: Work, seed: int) -> float:
        """Do the work; return the seconds of its timed part."""
        prompts = torch.tensor(work.prompts(self.model.config.vocab_size, seed))
        start = perf_counter()
        tokens, cache = self.read(work, prompts)
        if work.new and not work.shared:
            start = perf_counter()
        for _ in range(work.new - (1 if work.shared else 0)):
            tokens, cache = self.forward(tokens, cache)
        return perf_counter() - start

    def read(self, work: Work, prompts: Any) -> tuple[Any, Any]:
        """Read the prompts, what they share once."""
        if not (work.shared and work.copies):
            return self.forward(prompts, None)
        _, cache = self.forward(prompts[:1, : work.shared], None)
        cache.batch_repeat_interleave(work.sequences)
        return self.forward(prompts[:, work.shared :], cache)

    def forward(self, tokens: Any, cache: Any) -> tuple[Any, Any]:
        """One pass; the likeliest next token of each sequence, (sequences, 1)."""
        out = self.model(tokens, past_key_values=cache, use_cache=True, logits_to_keep=1)
        return out.logits[:, -1:].argmax(-1), out.past_key_values

    def perplexity(self, windows: Prompts) -> float:
        """Read windows of token ids; exp of the mean surprise over their second halves."""
        surprises = []
        for window in windows:
            ids = torch.tensor([window])
            logs = self.model(ids).logits[0].log_softmax(-1)
            rows = torch.arange(len(window) // 2, len(window) - 1)
            surprises.append(-logs[rows, ids[0, rows + 1]])
        return float(torch.cat(surprises).mean().exp())


if __name__ == "__main__":
    serve(Side(Path(sys.argv[1]), int(sys.argv[2])))
