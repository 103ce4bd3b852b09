"""How one choice picks its next token.

In: a row of logits (vocab,) and what was said so far.  Out: a token id.
Knows no text and no model; a row is never written to.

A draw takes one number from Philox, counter-based (Salmon et al., "Parallel
random numbers: as easy as 1, 2, 3", 2011), at (seed, choice, step): the same
seed gives the same answer whatever runs beside it, and after preemption.
"""

from __future__ import annotations

import secrets

import numpy as np
from numpy.typing import NDArray

from puna.engine.history import History
from puna.engine.largest import Ids, descending, largest
from puna.engine.request import BAN, SamplingParams, TokenMask
from puna.errors import GrammarError

Row = NDArray[np.float32]

_COLDEST = 1e-30  # float32 still divides by this; the best token's 0 stays 0
_CHUNK = 256  # weights that one partial sum covers when a whole vocabulary is drawn from


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
        self._index = index
        self._mask = mask
        self._seed = secrets.randbits(63) if params.seed is None else params.seed
        self._history = _history(params, prompt_ids)
        self._biased = np.fromiter(params.logit_bias.keys(), np.intp, len(params.logit_bias))
        self._biases = _biases(params)

    def sample(self, logits: Row, step: int) -> int:
        """Return the token for `logits` (vocab,); `step` counts this choice's tokens.

        Raises GrammarError where mask and bans leave no token at all.
        """
        scores = self.adjusted(logits)
        if self._params.temperature == 0.0:
            return int(scores.argmax())
        return draw(scores, self._params, uniform(self._seed, self._index, step))

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
        """Return `logits` (vocab,) after penalties, bias and mask; the row itself if none apply."""
        if self._history is None and self._mask is None and not len(self._biased):
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


def draw(scores: Row, params: SamplingParams, point: float) -> int:
    """Return the token at `point` of the distribution that `params` makes of `scores`."""
    return pick(*distribution(scores, params), point)


def pick(ids: Ids | None, weights: Row, point: float) -> int:
    """Return the token in whose share of the summed weights `point`, in [0, 1), lies."""
    place = _place(weights, point)
    return place if ids is None else int(ids[place])


def distribution(scores: Row, params: SamplingParams) -> tuple[Ids | None, Row]:
    """Return the ids that may be drawn (None = every id) and their weights, not normalised."""
    ids = largest(scores, params.top_k) if 0 < params.top_k < len(scores) else None
    weights = _tempered(scores if ids is None else scores[ids], params.temperature)
    if params.top_p < 1.0:
        ids, weights = _nucleus(ids, weights, params.top_p)
    if params.min_p > 0.0:
        ids, weights = _likely(ids, weights, params.min_p)
    return ids, weights


def uniform(seed: int, index: int, step: int) -> float:
    """Return the number in [0, 1) that belongs to this seed, choice and step."""
    key = np.array([seed % 2**64, index], np.uint64)
    counter = np.array([step, 0, 0, 0], np.uint64)
    bits = np.random.Philox(key=key, counter=counter).random_raw()
    return float(int(bits) >> 11) * 2.0**-53


def _tempered(scores: Row, temperature: float) -> Row:
    """Return exp((score - best) / temperature): the best has weight 1."""
    with np.errstate(over="ignore", under="ignore"):  # a tiny temperature drives the rest to 0
        distances: Row = scores - scores.max()
        distances /= np.float32(max(temperature, _COLDEST))
        np.exp(distances, out=distances)
    return distances


def _nucleus(ids: Ids | None, weights: Row, top_p: float) -> tuple[Ids, Row]:
    """Keep the fewest likeliest tokens that hold `top_p` of the weight (Holtzman et al., 2020)."""
    mass = top_p * float(weights.sum(dtype=np.float64))
    places = _heavy(weights, mass)
    sums = np.cumsum(weights[places], dtype=np.float64)
    count = int(np.searchsorted(sums, mass)) + 1
    kept = places[:count]
    return (kept if ids is None else ids[kept]), weights[kept]


def _heavy(weights: Row, mass: float) -> Ids:
    """Return the heaviest places, heaviest first, that hold at least `mass` together."""
    for threshold in (1e-2, 1e-4, 1e-7):
        places = np.flatnonzero(weights >= threshold)
        if weights[places].sum(dtype=np.float64) >= mass:
            return descending(weights, places)
    return descending(weights, np.flatnonzero(weights > 0.0))


def _likely(ids: Ids | None, weights: Row, min_p: float) -> tuple[Ids, Row]:
    """Keep tokens at least `min_p` times as likely as the best (Nguyen et al., 2024)."""
    kept = np.flatnonzero(weights >= np.float32(min_p))  # the best has weight 1
    return (kept if ids is None else ids[kept]), weights[kept]


def _place(weights: Row, point: float) -> int:
    if len(weights) <= 2 * _CHUNK:
        return _within(weights, point * float(weights.sum(dtype=np.float64)))
    starts = np.arange(0, len(weights), _CHUNK)
    sums = np.cumsum(np.add.reduceat(weights, starts, dtype=np.float64))
    target = point * float(sums[-1])
    chunk = int(np.searchsorted(sums, target, side="right"))
    start = int(starts[chunk])
    before = float(sums[chunk - 1]) if chunk else 0.0
    return start + _within(weights[start : start + _CHUNK], target - before)


def _within(weights: Row, target: float) -> int:
    place = int(np.searchsorted(np.cumsum(weights, dtype=np.float64), target, side="right"))
    # Rounding may put the target at the very end; the last weight that is not 0 takes it.
    return place if place < len(weights) else int(np.flatnonzero(weights)[-1])


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
