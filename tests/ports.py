"""A port that is still free when the program that it is for begins to listen.

The kernel gives the ports from 32768 on to connections and to whoever asks for any, so that one
of those may be taken before a program has started.
"""

from __future__ import annotations

import socket
from contextlib import suppress
from random import SystemRandom

BELOW_THE_KERNELS = range(20_000, 32_000)


def free_port() -> int:
    """Return one that nobody listens on; other processes of the tests get others."""
    while True:
        port = SystemRandom().choice(BELOW_THE_KERNELS)
        with suppress(OSError), socket.create_server(("127.0.0.1", port)):
            return port
