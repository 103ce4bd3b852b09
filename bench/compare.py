"""Puna beside peers in one kind of work, in alternation.

In: sides and work.  Out: rows of a table: speeds, ratios and their spread.  Writes nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from statistics import median

from bench.side import AbsentError, EndedError, Side
from bench.work import START, Work

START_NAME = "start to first token"
LOOKUP = "prompt lookup"


@dataclass(frozen=True)
class Row:
    """One kind of work beside one peer: tokens a second, or seconds where the unit says so."""

    work: str
    unit: str
    puna: float
    peer: float
    peer_engine: str
    peer_setting: str
    ratio: float  # median over the rounds of how many times faster Puna was
    spread: tuple[float, float]  # the least and the largest of these
    rounds: int


def compare(work: Work, puna: Side, peers: Sequence[Side], repeats: int) -> list[Row]:
    """Warm up and find each peer's best setting in a first round; then measure in alternation."""
    puna.seconds(work, 0)
    rivals = [best for _, sides in _by_engine(peers) if (best := _fastest(work, sides))]
    rounds = range(1, min(repeats, work.most_rounds) + 1)
    taken = [[side.seconds(work, seed) for side in (puna, *rivals)] for seed in rounds]
    ours, *theirs = zip(*taken, strict=True)
    return [
        row(work.name, rival, ours, times, tokens=work.tokens)
        for rival, times in zip(rivals, theirs, strict=True)
    ]


def compare_starts(puna: Side, peers: Sequence[Side], repeats: int) -> list[Row]:
    """Measure from a process's start to its first token; the first, unmeasured, fills caches."""
    rivals = [next(iter(sides)) for _, sides in _by_engine(peers)]
    taken = []
    for _ in range(repeats + 1):
        for side in rivals:
            side.close()
        taken.append([side.first_token_s() for side in (puna, *rivals)])
    ours, *theirs = zip(*taken[1:], strict=True)
    return [
        row(START_NAME, rival, ours, times) for rival, times in zip(rivals, theirs, strict=True)
    ]


def row(
    name: str,
    rival: Side,
    ours: Sequence[float],
    theirs: Sequence[float],
    *,
    tokens: int | None = None,
) -> Row:
    """Judge the seconds of some rounds, in which so many tokens were read or made."""
    ratios = [their / own for own, their in zip(ours, theirs, strict=True)]
    figures = [tokens / median(s) if tokens else median(s) for s in (ours, theirs)]
    return Row(
        work=name,
        unit="tok/s" if tokens else "s",
        puna=figures[0],
        peer=figures[1],
        peer_engine=rival.engine,
        peer_setting=rival.setting,
        ratio=median(ratios),
        spread=(min(ratios), max(ratios)),
        rounds=len(ratios),
    )


def _by_engine(peers: Sequence[Side]) -> list[tuple[str, list[Side]]]:
    return [(engine, list(sides)) for engine, sides in groupby(peers, lambda side: side.engine)]


def _fastest(work: Work, sides: list[Side]) -> Side | None:
    """Try the settings that matter to the work, and end the processes of all but the best."""
    tried: dict[float, Side] = {}
    for side in _that_matter(work, sides):
        try:
            side.seconds(START, 0)
            tried[side.seconds(work, 0)] = side
        except (AbsentError, EndedError) as error:
            print(f"{side.engine} is left out: {error}", flush=True)
            return None
        fastest = tried[min(tried)]
        for other in tried.values():
            if other is not fastest:
                other.close()
    return tried[min(tried)]


def _that_matter(work: Work, sides: list[Side]) -> list[Side]:
    """A unified cache matters to several sequences, and is what lets a prefix be copied."""
    if not work.peers_guess:
        sides = [s for s in sides if LOOKUP not in s.setting]
    if work.shared and work.copies:
        return [s for s in sides if not s.setting.endswith("unified KV off")]
    if work.sequences == 1 or not work.copies:
        return [s for s in sides if not s.setting.endswith("unified KV on")]
    return sides
