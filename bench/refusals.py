"""How soon a full server refuses, while its engine works for all whom it took in.

    python -m bench.refusals [--times 200]

Starts `puna serve` with the default model on an empty database, fills every place with a long
stream, and asks once more and again, over one connection and over new ones.  The last line is
JSON: milliseconds from the request's first byte to the answer's last.
"""

from __future__ import annotations

import argparse
import json
import re
import socket
import time
from contextlib import ExitStack

from bench.serving import serving
from puna.server import ServerSettings

PORT = 8698
KEY = re.compile(r"Bearer (puna_sk_\w+)")
LENGTH = re.compile(rb"content-length: (\d+)", re.IGNORECASE)
PAUSE_S = 0.02
DIALOG = {"model": "smollm2", "messages": [{"role": "user", "content": "Tell me a story."}]}


def connected() -> socket.socket:
    """Return a new connection."""
    return socket.create_connection(("127.0.0.1", PORT), timeout=30)


def send(connection: socket.socket, key: str, **fields: object) -> None:
    """Ask for an answer of 2,000 tokens."""
    body = json.dumps({**DIALOG, "max_tokens": 2000, "ignore_eos": True, **fields}).encode()
    head = (
        f"POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {key}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    connection.sendall(head.encode() + body)


def read(connection: socket.socket) -> None:
    """Read an answer that must be a refusal."""
    came = b""
    while b"\r\n\r\n" not in came:
        came += connection.recv(65536)
    head, _, body = came.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 429"), head
    assert b"retry-after" in head.lower(), head
    while len(body) < int(LENGTH.findall(head)[0]):
        body += connection.recv(65536)


def refused_ms(key: str, times: int, anew: bool) -> list[float]:
    """Ask so often; returns how long each refusal took, sorted."""
    taken = []
    with ExitStack() as open_:
        connection = open_.enter_context(connected())
        for _ in range(times):
            began = time.perf_counter()
            if anew:
                connection = open_.enter_context(connected())
            send(connection, key)
            read(connection)
            taken.append((time.perf_counter() - began) * 1e3)
            time.sleep(PAUSE_S)
    return sorted(taken)


def main() -> None:
    """The command line; see the top of this file."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--times", type=int, default=200)
    times = parser.parse_args().times
    figures = {}
    with serving(PORT) as said, ExitStack() as crowd:
        key = KEY.findall(said)[0]
        for _ in range(ServerSettings().most_requests):
            send(crowd.enter_context(connected()), key, stream=True)
        time.sleep(10)  # until the engine decodes for as many as it takes
        for name, anew in (("one connection", False), ("new connections", True)):
            taken = refused_ms(key, times, anew)
            shown = {"median": times // 2, "p99": times * 99 // 100 - 1, "longest": times - 1}
            figures[name] = {what: round(taken[place], 1) for what, place in shown.items()}
            print(name, figures[name], flush=True)
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
