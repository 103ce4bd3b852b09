"""A client's reading: whoever leaves what is ready lying is cut off.

In: a connection, told when it has more than the kernel takes and when it has no more.
Out: its end, where too little goes.  Knows no protocol.
"""

from __future__ import annotations

import asyncio
import fcntl
import struct
from contextlib import suppress
from termios import TIOCOUTQ

LEAST_BYTES_S = 1024  # a slower reader holds an answer up on purpose


class Reader:
    """One connection's other end, watched while there is something to read."""

    def __init__(self, transport: asyncio.Transport, patience_s: float) -> None:
        self._transport, self._patience_s = transport, patience_s
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None
        # So that the protocol is paused by whatever is left, be it little: closing waits for it.
        transport.set_write_buffer_limits(high=0)

    @property
    def lags(self) -> bool:
        """Whether there is more than the kernel takes."""
        return self._timer is not None

    def begin(self) -> None:
        """Something is left to be taken: watch that it is."""
        if self._timer is None:
            self._watch(self._outstanding())

    def end(self) -> None:
        """All of it is taken, or the connection is gone."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _watch(self, outstanding: int) -> None:
        self._timer = self._loop.call_later(self._patience_s, self._look, outstanding)

    def _look(self, before: int) -> None:
        """Closing would wait for the reader for ever, so the connection is aborted."""
        outstanding = self._outstanding()
        if before - outstanding < LEAST_BYTES_S * self._patience_s:
            self._transport.abort()
        else:
            self._watch(outstanding)

    def _outstanding(self) -> int:
        """Bytes that the reader has yet to acknowledge: ours and the kernel's."""
        queued = struct.pack("i", 0)
        with suppress(OSError, ValueError):  # the socket is closed by now
            sock = self._transport.get_extra_info("socket")
            queued = fcntl.ioctl(sock.fileno(), TIOCOUTQ, queued)
        return self._transport.get_write_buffer_size() + int(struct.unpack("i", queued)[0])
