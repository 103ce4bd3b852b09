"""How well a model foresees a text.

In: the text's token ids.  Out: perplexity.  Knows no text; it asks the engine
for the logprobs of prompts.

The convention is that of llama.cpp's `perplexity` tool, so that figures can
be compared: windows of n tokens that do not overlap, the first token of each
replaced by BOS where the model wants one, a last incomplete window left out,
and only tokens n/2 + 1 and later of each window counted, so that each has
some context.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from puna.engine.loop import EngineLoop
from puna.engine.request import Request, SamplingParams
from puna.errors import InvalidParameterError

Progress = Callable[[int, int | None], None]


@dataclass(frozen=True)
class Perplexity:
    """exp of the mean negative log-likelihood (`nll`, natural log) over `tokens` tokens."""

    value: float
    tokens: int
    nll: float


@dataclass(frozen=True)
class Window:
    """Tokens read together; those from `first_counted` on count."""

    ids: tuple[int, ...]
    first_counted: int


def halved_windows(ids: Sequence[int], size: int, bos_id: int | None) -> list[Window]:
    """Cut `ids`, with BOS at their start if there is one, as llama.cpp does.

    Raises InvalidParameterError where they do not fill one window.
    """
    _check_size(size, 4)
    if len(ids) < size:
        raise InvalidParameterError(
            f"the text has {len(ids)} tokens, but one window takes {size}; "
            "use a longer text or a smaller window"
        )
    starts = range(0, len(ids) - size + 1, size)
    return [Window(_opened(ids[start : start + size], bos_id), size // 2 + 1) for start in starts]


def plain_windows(ids: Sequence[int], size: int, bos_id: int | None) -> list[Window]:
    """Cut `ids` so that every token counts, or all but the first of each window without a BOS."""
    _check_size(size, 2)
    opening = () if bos_id is None else (bos_id,)
    step = size - len(opening)
    cut = [(*opening, *ids[start : start + step]) for start in range(0, len(ids), step)]
    windows = [Window(part, 1) for part in cut if len(part) > 1]
    if not windows:
        raise InvalidParameterError(f"the text has {len(ids)} tokens; use at least 2")
    return windows


def perplexity(
    loop: EngineLoop, windows: Sequence[Window], progress: Progress | None = None
) -> Perplexity:
    """Score `windows` one after the other; `progress` hears of tokens read, and of all."""
    total, read, counted, nll = sum(len(w.ids) for w in windows), 0, 0, 0.0
    for window in windows:
        logprobs = list(_logprobs(loop, window))[window.first_counted - 1 :]
        read, counted = read + len(window.ids), counted + len(logprobs)
        nll -= math.fsum(logprobs)
        if progress is not None:
            progress(read, total)
    return Perplexity(math.exp(nll / counted), counted, nll / counted)


def _logprobs(loop: EngineLoop, window: Window) -> Iterator[float]:
    """Yield the logprob of each token but the first."""
    params = SamplingParams(max_tokens=0, prompt_logprobs=0)
    with loop.submit(Request(window.ids, params)) as ticket:
        for emission in ticket:
            if emission.error is not None:
                raise emission.error
            yield from (score.logprob for score in emission.prompt_scores)


def _opened(ids: Sequence[int], bos_id: int | None) -> tuple[int, ...]:
    return tuple(ids) if bos_id is None else (bos_id, *ids[1:])


def _check_size(size: int, least: int) -> None:
    if size < least:
        raise InvalidParameterError(f"window is {size}; it must be at least {least} tokens")
