"""How one choice picks its next token.

In: a row of logits (vocab,) and what was said so far.  Out: the row as
penalties, bias and mask leave it, and how a token is drawn from it.  Knows no
text and no model; a row is never written to.
"""

from __future__ import annotations

import os

import numpy as np
from numpy.typing import NDArray

from puna.engine.history import History
from puna.engine.request import BAN, SamplingParams, TokenMask
from puna.errors import GrammarError
from puna.kernels.sampling import Draws, make_draw

Row = NDArray[np.float32]


class Sampler:
    """One choice's way of picking tokens; holds its seed, its counts and its mask."""

    def __init__(
        self,
        params: SamplingParams,
        prompt_ids: tuple[int, ...],
        index: int,
        mask: TokenMask | None,
    ) -> None:
        self._params = params
        self._mask = mask
        self._history = _history(params, prompt_ids)
        self._biased = np.fromiter(params.logit_bias.keys(), np.intp, len(params.logit_bias))
        self._biases = _biases(params)
        self._draw = make_draw(
            temperature=params.temperature,
            top_k=params.top_k,
            top_p=params.top_p,
            min_p=params.min_p,
            seed=_any_seed() if params.seed is None else params.seed,
            choice=index,
            banned=self.adjusts,
        )

    @property
    def adjusts(self) -> bool:
        """Whether rows are changed before a token is drawn from them."""
        return self._history is not None or self._mask is not None or len(self._biased) > 0

    def draw(self, step: int) -> Draws:
        """Return (1,) how the choice's token number `step` is drawn; valid until the next call."""
        self._draw["step"] = step
        return self._draw

    def accept(self, token_id: int) -> None:
        """Note that the token became part of the answer."""
        if self._history is not None:
            self._history.push(token_id)
        if self._mask is not None:
            self._mask.accept(token_id)

    @property
    def finished(self) -> bool:
        """Whether the grammar lets nothing but the end follow."""
        return self._mask is not None and self._mask.finished()

    def adjusted(self, logits: Row) -> Row:
        """Return `logits` (vocab,) after penalties, bias and mask; the row itself if none apply.

        Raises GrammarError where mask and bans leave no token at all.
        """
        if not self.adjusts:
            return logits
        scores = logits.copy()
        if self._history is not None:
            self._history.penalise(scores, self._params)
        scores[self._biased] += self._biases
        if self._mask is not None:
            _forbid(scores, self._mask.bits())
        return self._with_a_token_left(scores)

    def _with_a_token_left(self, scores: Row) -> Row:
        if scores.max() == -np.inf:
            raise GrammarError(
                "the grammar and logit_bias together leave no token to go on with; "
                "lift the bans on tokens that the grammar needs"
            )
        return scores


def _any_seed() -> int:
    return int.from_bytes(os.urandom(8), "little")


def _forbid(scores: Row, bits: NDArray[np.uint32]) -> None:
    allowed = np.unpackbits(bits.view(np.uint8), bitorder="little")[: len(scores)]
    scores[: len(allowed)][allowed == 0] = -np.inf
    scores[len(allowed) :] = -np.inf  # the network may have more rows than the tokenizer ids


def _history(params: SamplingParams, prompt_ids: tuple[int, ...]) -> History | None:
    penalised = (
        params.repetition_penalty != 1.0
        or params.presence_penalty != 0.0
        or params.frequency_penalty != 0.0
    )
    return History(prompt_ids) if penalised else None


def _biases(params: SamplingParams) -> Row:
    values = np.fromiter(params.logit_bias.values(), np.float32, len(params.logit_bias))
    values[values <= BAN] = -np.inf
    return values
