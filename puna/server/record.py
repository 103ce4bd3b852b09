"""What is being made for several readers: pieces that stay, each reader from where it likes.

In: pieces, and an end.  Out: the same, to whoever follows.  Knows no piece's meaning.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from typing import Generic, TypeVar

Piece = TypeVar("Piece")


class Record(Generic[Piece]):
    """Pieces in their order; belongs to one event loop."""

    def __init__(self) -> None:
        self.pieces: list[Piece] = []
        self._error: Exception | None = None
        self._ended = False
        self._news = asyncio.Event()

    def add(self, piece: Piece) -> None:
        """Add a piece, and wake who waits for it."""
        self.pieces.append(piece)
        self._tell()

    def end(self, error: Exception | None = None) -> None:
        """Say that nothing more comes; `error` is what every reader gets last."""
        self._error, self._ended = error, True
        self._tell()

    async def follow(self, start: int = 0) -> AsyncGenerator[Piece, None]:
        """Yield the pieces from number `start` on, up to the end."""
        while True:
            news = self._news  # set by whatever comes while the reader is busy
            while start < len(self.pieces):
                yield self.pieces[start]
                start += 1
            if self._ended:
                break
            await news.wait()
        if self._error is not None:
            raise self._error

    def _tell(self) -> None:
        news, self._news = self._news, asyncio.Event()
        news.set()
