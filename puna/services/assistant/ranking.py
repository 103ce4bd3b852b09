"""Which passages answer a question best: BM25, and where an Embedder is at hand, its nearness.

In: a question and passages' words.  Out: scores.
Source: Robertson and Zaragoza, "The Probabilistic Relevance Framework: BM25 and Beyond", 2009;
ranks are joined as in Cormack, Clarke, Buettcher, "Reciprocal Rank Fusion", 2009.
"""

from __future__ import annotations

import math
import operator
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from typing import Protocol

from puna.services.assistant.words import folded_words, stem

K1, B = 1.2, 0.75
FUSION = 60  # the constant of reciprocal rank fusion

# Words that every text holds say nothing about which one is meant.
_EMPTY_WORDS = (
    "a an and are as at be but by can did do does for from had has have how i if in into is it its "
    "me my of on or our say says she so tell than that the their them they this to us was we were "
    "what when where which who whom why will with you your about"
)
_EMPTY = frozenset(_EMPTY_WORDS.split())


class Embedder(Protocol):
    """What turns texts into vectors of one length, where a machine has such a model."""

    def embed(self, texts: Sequence[str]) -> Sequence[Sequence[float]]:
        """Return a vector for each text."""
        ...


def question_words(question: str) -> list[str]:
    """Return the words that tell texts apart, each once; all of them if none does."""
    every = list(dict.fromkeys(folded_words(question)))
    return [word for word in every if word not in _EMPTY] or every


def bm25(
    question: str, passages: Mapping[int, str], *, total: int, mean_words: float
) -> dict[int, float]:
    """Return each passage's score.

    `passages` must hold every passage with a word of the question, among `total` passages of
    `mean_words` words: how often a word occurs is counted in them.
    """
    wanted = {stem(word) for word in question_words(question)}
    counts = {key: Counter(map(stem, folded_words(text))) for key, text in passages.items()}
    holding = Counter(word for count in counts.values() for word in wanted if word in count)
    weights = {word: _weight(holding[word], total) for word in wanted}
    return {
        key: sum(weights[word] * _saturated(count, word, mean_words) for word in wanted)
        for key, count in counts.items()
    }


def nearness(left: Sequence[float], right: Sequence[float]) -> float:
    """Return the cosine of two vectors."""
    lengths = math.hypot(*left) * math.hypot(*right)
    return sum(map(operator.mul, left, right)) / lengths if lengths else 0.0


def fused(*orders: Sequence[int]) -> list[int]:
    """Return one order of all keys from several."""
    scores: defaultdict[int, float] = defaultdict(float)
    for order in orders:
        for rank, key in enumerate(order, start=1):
            scores[key] += 1 / (FUSION + rank)
    return sorted(scores, key=lambda key: (-scores[key], key))


def _weight(holding: int, total: int) -> float:
    return math.log(1 + (total - holding + 0.5) / (holding + 0.5))


def _saturated(count: Counter[str], word: str, mean_words: float) -> float:
    often = count[word]
    length = count.total() / max(mean_words, 1.0)
    return often * (K1 + 1) / (often + K1 * (1 - B + B * length)) if often else 0.0
