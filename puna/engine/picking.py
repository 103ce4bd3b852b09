"""From a step's logits to the tokens and scores that were asked of them.

In: a step's chunks and their rows of logits.  Out: a token for every row, or
NOT_FINITE, and prompt tokens' scores.  Knows no cache and ends no answer.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from puna.engine.logprobs import TokenScore, score
from puna.engine.model import Model
from puna.engine.scheduler import Chunk
from puna.engine.sequence import Sequence
from puna.errors import NumericError
from puna.kernels.sampling import NOT_FINITE, Draws, make_draw

Logits = NDArray[np.float32]

_CHECKED = make_draw(temperature=0.0)  # of a row whose token nobody wants: is it finite?


def pick_tokens(model: Model, chunks: Iterable[Chunk], logits: Logits) -> list[int]:
    """Return what each row says, or NOT_FINITE; rows to be adjusted are only checked."""
    if not len(logits):
        return []
    tokens: list[int] = model.sample(logits, np.concatenate(_draws(chunks))).tolist()
    return tokens


def _draws(chunks: Iterable[Chunk]) -> list[Draws]:
    draws = []
    for chunk in chunks:
        sampler = chunk.sequence.sampler
        draws += [_CHECKED] * (len(chunk.scored_rows) + (chunk.samples and sampler.adjusts))
        if chunk.samples and not sampler.adjusts:
            draws.append(sampler.draw(chunk.sequence.completion_tokens).copy())
    return draws


def adjusted_token(model: Model, sequence: Sequence, logits: Logits) -> int:
    """Return what `logits` (vocab,) say after penalties, bias and mask.

    Raises GrammarError where those leave nothing, NumericError where they leave infinity.
    """
    row = sequence.sampler.adjusted(logits)
    draw = sequence.sampler.draw(sequence.completion_tokens)
    token_id = int(model.sample(row[None], draw)[0])
    if token_id == NOT_FINITE:
        raise NumericError("the penalties drove a token's score to infinity; lower them")
    return token_id


def prompt_scores(chunk: Chunk, logits: Logits) -> tuple[TokenScore, ...]:
    """Score the prompt tokens that come after the chunk's scored rows."""
    alternatives = chunk.sequence.request.params.prompt_logprobs or 0
    return tuple(
        score(row, chunk.sequence.tokens[position + 1], alternatives)
        for position, row in zip(chunk.scored_rows, logits, strict=False)
    )
