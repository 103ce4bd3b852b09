"""How much the engine does at once.

In: numbers from whoever opens it.  Out: budgets, checked.  Knows no request.
"""

from __future__ import annotations

from dataclasses import dataclass

from puna.errors import SettingError


@dataclass(frozen=True)
class EngineSettings:
    """Limits of one step; raises SettingError where they contradict each other."""

    max_batch_tokens: int = 512  # rows of one forward pass; no more than the model's own
    max_sequences: int = 64  # sequences that run at once
    # Prompt rows in a step that also decodes: what an answer waits for its next token.
    prefill_beside_decode_tokens: int = 128
    max_logits_bytes: int = 64 * 2**20  # what prompt logprobs may take in one step
    # While nothing but answers goes on, so many steps are taken in one call, within this time:
    # what a new request waits at most.
    burst_steps: int = 32
    burst_ms: int = 20
    # Answers that quote their prompt are guessed ahead while at most so many sequences run.
    lookup_sequences: int = 3  # 0 = never

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            least = 0 if name == "lookup_sequences" else 1
            if value < least:
                raise SettingError(f"{name} is {value}; it must be at least {least}")
        if self.max_sequences > self.max_batch_tokens:
            raise SettingError(
                f"max_sequences is {self.max_sequences}, but a step has only "
                f"{self.max_batch_tokens} rows (max_batch_tokens); lower one or raise the other"
            )

    def check(self, model_batch_tokens: int) -> None:
        """Raise SettingError where a step would have more rows than the model takes."""
        if self.max_batch_tokens > model_batch_tokens:
            raise SettingError(
                f"max_batch_tokens is {self.max_batch_tokens}, but the model was opened for "
                f"{model_batch_tokens} rows; lower it, or open the model for more"
            )

    def prefill_budget(self, decode_rows: int) -> int:
        """Return how many prompt rows may join a step that decodes `decode_rows`."""
        left = self.max_batch_tokens - decode_rows
        return min(left, self.prefill_beside_decode_tokens) if decode_rows else left

    def max_outputs(self, vocab_size: int) -> int:
        """Return how many rows of logits one step may ask for."""
        return max(self.max_sequences + 1, self.max_logits_bytes // (4 * vocab_size))
