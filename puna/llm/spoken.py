"""An answer's text as it grows: what may be shown, where its calls begin, whether it is over.

In: the answer's tokens, one by one.  Out: text up to the first stop string or call.  Knows no
engine.  Stop strings end text; a call goes on to its own end, whatever stands in it.
"""

from __future__ import annotations

from collections.abc import Callable

from puna.llm.stop import StopStrings
from puna.text.calls import CallStyle, CallWatch, repeats, written_calls
from puna.text.stream import StreamDecoder

LONGEST_WATCHED = 20_000  # characters of calls that are looked through for a repeated one
_CLOSERS = frozenset("})]>")


class Spoken:
    """One choice's text; `names` are the tools that may be called."""

    def __init__(
        self,
        decoder: StreamDecoder,
        stops: tuple[str, ...],
        style: CallStyle | None,
        names: tuple[str, ...],
    ) -> None:
        self._decoder = decoder
        self._stops = StopStrings(stops)
        self._style, self._names = style, names
        self._watch = CallWatch(style, names) if style is not None and names else None
        self._latest = ""

    @property
    def calls(self) -> str | None:
        """What stands from the beginning of the first call on; None where none has begun."""
        return self._watch.held if self._watch is not None and self._watch.begun else None

    def push(self, token_id: int) -> str:
        """Take a token and return what it adds to the text."""
        return self._take(self._decoder.push(token_id))

    def flush(self, *, cut: bool) -> str:
        """Return the rest of the text; what may become a call is not shown where it was `cut`."""
        said = self._take(self._decoder.flush())
        if self._watch is not None and not self._watch.begun and not cut:
            said += self._stops.push(self._watch.held)
        return said + self._stops.flush()

    @property
    def over(self) -> bool:
        """Whether a stop string is complete, or a call repeats the one before it."""
        return self._stops.hit or self._repeats

    def _take(self, piece: str) -> str:
        if self._watch is None:
            return self._stops.push(piece)
        begun = self._watch.begun
        said = self._stops.push(self._watch.push(piece))
        if self._watch.begun and not begun:
            said += self._stops.flush()
        self._latest = piece
        return said

    @property
    def _repeats(self) -> bool:
        calls = self.calls
        if calls is None or len(calls) > LONGEST_WATCHED or _CLOSERS.isdisjoint(self._latest):
            return False
        assert self._style is not None
        return repeats(written_calls(calls, self._style, self._names)[1])


class SpokenCheck:
    """The engine's view of the same: tokens in, and whether the answer ends."""

    def __init__(self, begin: Callable[[], Spoken]) -> None:
        self._begin = begin
        self._spoken = begin()

    def push(self, token_id: int) -> bool:
        """Tell whether the answer is over with this token."""
        self._spoken.push(token_id)
        return self._spoken.over

    def fresh(self) -> SpokenCheck:
        """Return one that has heard nothing."""
        return SpokenCheck(self._begin)
