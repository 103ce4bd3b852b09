"""Texts as vectors: pooled hidden states, cut and scaled.

In: token ids of each text.  Out: one vector a text, and what they took.
Knows no text; the engine computes them beside everything else.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from puna.chat import Delta, Usage
from puna.engine import Emission, EngineLoop, Request, Ticket
from puna.engine.pooling import Pooling, check_pooling
from puna.errors import InvalidParameterError
from puna.llm.answer import Transcript
from puna.llm.prepared import Prepared

Vector = NDArray[np.float32]


@dataclass(frozen=True)
class Embeddings:
    """`vectors` is (texts, dimensions); the usage is that of all texts together."""

    vectors: Vector
    usage: Usage


@dataclass(frozen=True)
class Embedding:
    """How a text becomes a vector."""

    hidden_size: int
    dimensions: int | None = None  # None = all; fewer are the first of them
    normalize: bool = True  # to length 1, after the cut
    pooling: Pooling = "mean"

    def __post_init__(self) -> None:
        check_pooling(self.pooling)
        wanted = self.dimensions
        if wanted is not None and (type(wanted) is not int or not 1 <= wanted <= self.hidden_size):
            raise InvalidParameterError(
                f"dimensions is {wanted!r}; this model's vectors have 1 to {self.hidden_size}"
            )

    def request(self, ids: Sequence[int], cache_salt: str = "") -> Request:
        """Return what to ask of the engine for one text."""
        return Request(tuple(ids), pooling=self.pooling, cache_salt=cache_salt)

    def shaped(self, pooled: Vector) -> Vector:
        """Cut and scale (hidden_size,) hidden states."""
        vector = pooled[: self.dimensions].astype(np.float64)
        length = np.linalg.norm(vector) if self.normalize else 1.0
        scaled: Vector = (vector / (length or 1.0)).astype(np.float32)
        return scaled


@dataclass(frozen=True)
class PreparedText(Prepared):
    """A text ready for the engine; what it says is one delta with the vector."""

    embedding: Embedding

    def most_tokens(self, context_tokens: int) -> int:
        """Return 0: nothing is said."""
        del context_tokens
        return 0

    def transcript(self) -> Transcript:
        """Return what reads the vector."""
        return _VectorTranscript(self)


class _VectorTranscript(Transcript):
    """Reads one text's emissions."""

    def __init__(self, prepared: PreparedText) -> None:
        super().__init__(prepared.reading, prepared.prompt_tokens)
        self._embedding = prepared.embedding

    def read(self, emission: Emission) -> Iterator[Delta]:
        """Yield the vector with what it took; raises the error that ended it, if one did."""
        self.count(emission)
        if emission.error is not None:
            raise emission.error
        if emission.embedding is not None:
            vector = self._embedding.shaped(emission.embedding).astype("<f4")
            yield Delta(
                embedding=vector.tobytes(),
                finish_reason=emission.finish_reason,
                usage=self.usage,
                timings=self.timings,
            )


def embed(
    loop: EngineLoop, embedding: Embedding, texts: Sequence[Sequence[int]], cache_salt: str = ""
) -> Embeddings:
    """Compute every text at once; whatever goes wrong with one cancels all."""
    if not texts:
        raise InvalidParameterError("there is nothing to embed; give at least one text")
    with ExitStack() as open_tickets:
        requests = [embedding.request(ids, cache_salt) for ids in texts]
        tickets = [open_tickets.enter_context(loop.submit(request)) for request in requests]
        ends = [_end(ticket) for ticket in tickets]
    return gathered(embedding, ends)


def gathered(embedding: Embedding, ends: Sequence[Emission]) -> Embeddings:
    """Return the vectors out of each text's last emission."""
    return Embeddings(np.stack([embedding.shaped(v) for v in _vectors(ends)]), _usage(ends))


def _end(ticket: Ticket) -> Emission:
    """Return a text's last emission; raises the error that ended it."""
    *_, last = ticket
    if last.error is not None:
        raise last.error
    return last


def _vectors(ends: Sequence[Emission]) -> Iterator[Vector]:
    for end in ends:
        assert end.embedding is not None, "an embedding ends with its vector"
        yield end.embedding


def _usage(ends: Sequence[Emission]) -> Usage:
    stats = [end.stats for end in ends if end.stats is not None]
    return Usage(
        prompt_tokens=sum(one.prompt_tokens for one in stats),
        cached_tokens=sum(one.cached_tokens for one in stats),
    )
