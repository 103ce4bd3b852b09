"""How a token is picked out of a row of logits: the meaning, in NumPy.

In: rows of logits (rows, vocab) and a draw for each.  Out: token ids.  Knows
no penalty, bias or mask: rows come as they are to be drawn from.

A draw takes one number from Philox, counter-based (Salmon et al., "Parallel
random numbers: as easy as 1, 2, 3", 2011), at (seed, choice, step): the same
seed gives the same answer whatever runs beside it, and after preemption.
"""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from puna.kernels.largest import Ids, descending, largest

Row: TypeAlias = NDArray[np.float32]
Draws: TypeAlias = NDArray[np.void]
"""(rows,) of DRAW: how each row's token is picked."""

DRAW = np.dtype(
    [
        ("temperature", np.float64),  # 0 = the best token
        ("top_p", np.float64),
        ("min_p", np.float64),
        ("seed", np.uint64),
        ("step", np.int64),
        ("choice", np.int32),
        ("top_k", np.int32),  # 0 = all
        (
            "banned",
            np.int32,
        ),  # whether -inf may stand in the row: a ban
        ("unused", np.int32),
    ]
)
NOT_FINITE = -1
"""Instead of a token, where a row holds NaN or infinity."""

_COLDEST = 1e-30  # float32 still divides by this; the best token's 0 stays 0
_CHUNK = 256  # weights that one partial sum covers when a whole vocabulary is drawn from


def make_draw(
    *,
    temperature: float,
    top_k: int = 0,
    top_p: float = 1.0,
    min_p: float = 0.0,
    seed: int = 0,
    choice: int = 0,
    banned: bool = False,
) -> Draws:
    """Return (1,) the draw at step 0."""
    fields = (temperature, top_p, min_p, seed % 2**64, 0, choice, top_k, banned, 0)
    return np.array([fields], DRAW)


def sample_rows(logits: NDArray[np.float32], draws: Draws) -> NDArray[np.int32]:
    """Return (rows,) a token for each row of `logits` (rows, vocab), or NOT_FINITE."""
    pairs = zip(logits, draws, strict=True)
    return np.fromiter((_sample(row, draw) for row, draw in pairs), np.int32, len(draws))


def _sample(row: Row, draw: np.void) -> int:
    if not _usable(row, banned=bool(draw["banned"])):
        return NOT_FINITE
    if draw["temperature"] == 0.0:
        return int(row.argmax())
    ids, weights = distribution(
        row,
        temperature=float(draw["temperature"]),
        top_k=int(draw["top_k"]),
        top_p=float(draw["top_p"]),
        min_p=float(draw["min_p"]),
    )
    point = uniform(int(draw["seed"]), int(draw["choice"]), int(draw["step"]))
    return pick(ids, weights, point)


def _usable(row: Row, *, banned: bool) -> bool:
    if not banned:
        return bool(np.isfinite(row).all())
    return bool(np.isfinite(row.max()))  # a NaN would come through


def pick(ids: Ids | None, weights: Row, point: float) -> int:
    """Return the token in whose share of the summed weights `point`, in [0, 1), lies."""
    place = _place(weights, point)
    return place if ids is None else int(ids[place])


def distribution(
    scores: Row, *, temperature: float, top_k: int = 0, top_p: float = 1.0, min_p: float = 0.0
) -> tuple[Ids | None, Row]:
    """Return the ids that may be drawn (None = every id) and their weights, not normalised."""
    ids = largest(scores, top_k) if 0 < top_k < len(scores) else None
    weights = _tempered(scores if ids is None else scores[ids], temperature)
    if top_p < 1.0:
        ids, weights = _nucleus(ids, weights, top_p)
    if min_p > 0.0:
        ids, weights = _likely(ids, weights, min_p)
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
    kept = np.sort(places[:count])
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
