"""Which tokens a choice has seen, for the penalties on saying them again.

In: token ids as they come.  Out: logits made lower.  Knows no probabilities.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from puna.engine.request import SamplingParams


class History:
    """The distinct tokens of prompt and answer, each with its count in the answer."""

    def __init__(self, prompt_ids: Iterable[int]) -> None:
        self._ids = array("q", dict.fromkeys(prompt_ids))
        self._counts = array("q", bytes(8 * len(self._ids)))
        self._slots = {token_id: slot for slot, token_id in enumerate(self._ids)}

    def push(self, token_id: int) -> None:
        """Count one more token of the answer."""
        slot = self._slots.setdefault(token_id, len(self._ids))
        if slot == len(self._ids):
            self._ids.append(token_id)
            self._counts.append(0)
        self._counts[slot] += 1

    def penalise(self, scores: NDArray[np.float32], params: SamplingParams) -> None:
        """Lower `scores` (vocab,) in place.

        Repetition: a seen token's score is divided by the penalty, or
        multiplied where it is negative (Keskar et al., CTRL, 2019).
        Presence and frequency: penalty once, and penalty times count, as
        OpenAI's API has it.
        """
        if not self._ids:
            return
        ids = np.frombuffer(self._ids, np.int64)
        counts = np.frombuffer(self._counts, np.int64)
        seen = scores[ids]
        factor = np.float32(params.repetition_penalty)
        seen = np.where(seen > 0.0, seen / factor, seen * factor)
        seen -= np.float32(params.presence_penalty) * (counts > 0)
        seen -= np.float32(params.frequency_penalty) * counts.astype(np.float32)
        scores[ids] = seen
