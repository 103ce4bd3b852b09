"""Merges for vocabularies that keep ranks or scores and no list of merges.

In: tokens in the order in which they merge, best first.  Out: pairs, best first,
as the tokenizers library wants them.  Does not know where the order comes from.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

Merge = tuple[str, str]


def merges_from_order(ordered: Iterable[str], order_of: Mapping[str, int]) -> list[Merge]:
    """Every way to join two tokens into a third, sorted by the third's place in `ordered`.

    Two tokens merge whenever their union is a token, as in tiktoken and in
    SentencePiece's BPE.  Among the ways to make the same token, the one whose
    left part comes first in the order goes first.
    """
    merges: list[Merge] = []
    for token in ordered:
        merges.extend(sorted(_halves(token, order_of), key=lambda pair: order_of[pair[0]]))
    return merges


def _halves(token: str, order_of: Mapping[str, int]) -> list[Merge]:
    cuts = range(1, len(token))
    return [
        (token[:cut], token[cut:])
        for cut in cuts
        if token[:cut] in order_of and token[cut:] in order_of
    ]
