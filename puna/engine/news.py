"""What becomes known in a step, gathered until it is handed out.

In: sequences, and what happened to them.  Out: emissions, in order.  Knows no
reason for any of it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from puna.engine.logprobs import TokenScore
from puna.engine.sequence import Emission, Sequence
from puna.errors import PunaError

if TYPE_CHECKING:
    from puna.chat import FinishReason


class News:
    """Emissions that nobody has heard yet."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._emissions: list[Emission] = []

    def __bool__(self) -> bool:
        return bool(self._emissions)

    def take(self) -> list[Emission]:
        """Hand out what is known, once."""
        news, self._emissions = self._emissions, []
        return news

    def prefilled(self, sequence: Sequence, scores: tuple[TokenScore, ...] = ()) -> None:
        """A part of the prompt is done."""
        self._emissions.append(
            Emission(
                sequence.request_id,
                sequence.index,
                prompt_scores=scores,
                prefilled_tokens=sequence.computed,
            )
        )

    def said(self, sequence: Sequence, token_id: int, scored: TokenScore | None) -> None:
        """A choice has one more token."""
        self._emissions.append(Emission(sequence.request_id, sequence.index, token_id, scored))

    def ended(
        self,
        sequence: Sequence,
        reason: FinishReason,
        *,
        token_id: int | None = None,
        scored: TokenScore | None = None,
        stop_token_id: int | None = None,
        error: PunaError | None = None,
        embedding: NDArray[np.float32] | None = None,
    ) -> None:
        """A choice is over, perhaps with a last token."""
        self._emissions.append(
            Emission(
                sequence.request_id,
                sequence.index,
                token_id,
                scored,
                finish_reason=reason,
                stop_token_id=stop_token_id,
                error=error,
                stats=sequence.stats(self._clock(), stop_tokens=stop_token_id is not None),
                embedding=embedding,
            )
        )
