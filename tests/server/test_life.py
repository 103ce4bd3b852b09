"""What a client leaves behind is freed, what dawdles is cut, and the end is orderly."""

from __future__ import annotations

import json
import socket
import struct
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Event, Thread
from typing import Self

import httpx2
import pytest

from puna.server import ServerSettings
from tests.server.by_hand import chat_request
from tests.server.serving import MODEL, Served, served

LONG = {"model": MODEL, "messages": [{"role": "user", "content": "go on"}], "ignore_eos": True}


def raw_post(server: Served, **more: object) -> socket.socket:
    """Send a chat request over a socket of our own."""
    connection = socket.create_connection(("127.0.0.1", server.port), timeout=10)
    connection.sendall(chat_request(server.key, {**LONG, "max_tokens": 1500, **more}))
    return connection


def hang_up(connection: socket.socket, abruptly: bool) -> None:
    if abruptly:  # RST instead of FIN
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()


class Stalls(Thread):
    """How long this machine let a thread wait that had nothing to wait for, as others were busy."""

    NAP_S = 0.01

    def __init__(self) -> None:
        super().__init__()
        self.seconds, self._over = 0.0, Event()

    def run(self) -> None:
        slept = time.monotonic()
        while not self._over.wait(self.NAP_S):
            slept, before = time.monotonic(), slept
            self.seconds += slept - before - self.NAP_S

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._over.set()
        self.join()


@pytest.fixture(scope="module")
def slow(tmp_path_factory: pytest.TempPathFactory, slow_path: Path) -> Iterator[Served]:
    with served(tmp_path_factory.mktemp("slow"), slow_path) as running:
        running.wait_ready()
        yield running


@pytest.mark.parametrize("abruptly", [False, True], ids=["FIN", "RST"])
@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
def test_a_client_that_goes_away_frees_everything_within_a_second(
    slow: Served, stream: bool, abruptly: bool
) -> None:
    already = len(slow.charged())
    for wait_s in (0.0, 0.01, 0.05, 0.2):
        connections = [raw_post(slow, stream=stream) for _ in range(3)]
        if stream and wait_s:
            connections[0].recv(100)
        time.sleep(wait_s)
        for connection in connections:
            hang_up(connection, abruptly)
        with Stalls() as stalls:
            time.sleep(0.05)  # what was sent last may still be on its way in
            freed_s = 0.05 + slow.wait_idle()
        assert freed_s < 1.0 + stalls.seconds  # a few hundredths, where nothing else runs
    left = slow.charged()[already:]
    assert {entry.outcome for entry in left} == {"disconnect"}
    assert all(entry.completion_tokens < 1500 for entry in left)
    assert sum(entry.completion_tokens for entry in left) > 0
    (llm,) = slow.desk.known.values()
    assert llm.load().running == llm.load().waiting == 0


def test_who_comes_when_the_server_is_full_is_told_at_once(tmp_path: Path, tiny_path: Path) -> None:
    limits = ServerSettings(MODEL, running=2, queue=2, header_s=0.5, body_s=0.5, ping_s=0.2)
    with served(tmp_path, tiny_path, limits) as server:
        server.wait_ready()
        streams = [raw_post(server, stream=True) for _ in range(4)]
        for stream in streams:
            stream.recv(10)
        began = time.monotonic()
        refusal = httpx2.post(
            f"{server.url}/v1/chat/completions", json=LONG, headers=server.headers()
        )
        assert refusal.status_code == 429
        assert refusal.json()["error"]["code"] == "overloaded"
        assert int(refusal.headers["retry-after"]) >= 1
        assert time.monotonic() - began < 0.5
        for stream in streams:
            stream.close()
        server.wait_idle()
        _cuts_who_dawdles(server)
        _waits_for_who_keeps_the_pace(server, limits.body_s)


def _cuts_who_dawdles(server: Served) -> None:
    begun = b"POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nX-Slow: "
    header = begun + b"no\r\nContent-Length: 1000\r\n\r\n{"
    for sent in (b"", begun, header):
        with socket.create_connection(("127.0.0.1", server.port), timeout=5) as slow:
            slow.sendall(sent)
            began = time.monotonic()
            while slow.recv(1000):
                pass
            assert time.monotonic() - began < 2
    with socket.create_connection(("127.0.0.1", server.port), timeout=5) as big:
        big.sendall(b"GET /health HTTP/1.1\r\nHost: localhost\r\nX-Big: " + b"x" * 20_000)
        assert big.recv(100).startswith(b"HTTP/1.1 431")


def _waits_for_who_keeps_the_pace(server: Served, body_s: float) -> None:
    pieces, piece = 10, b"x" * 2**15
    header = (
        f"POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json"
        f"\r\nAuthorization: Bearer {server.key}\r\nContent-Length: {pieces * len(piece)}\r\n\r\n"
    )
    with socket.create_connection(("127.0.0.1", server.port), timeout=5) as steady:
        steady.sendall(header.encode())
        began = time.monotonic()
        for _ in range(pieces):
            time.sleep(0.1)
            steady.sendall(piece)
        assert time.monotonic() - began > 1.5 * body_s
        assert steady.recv(100).startswith(b"HTTP/1.1 400")


def test_the_end_lets_short_answers_finish_and_tells_long_ones(
    tmp_path: Path, slow_path: Path
) -> None:
    with served(tmp_path, slow_path, ServerSettings(MODEL, drain_s=0.5)) as server:
        server.wait_ready()
        url, headers = f"{server.url}/v1/chat/completions", server.headers()

        def ask(max_tokens: int, stream: bool = True) -> httpx2.Response:
            body = {**LONG, "max_tokens": max_tokens, "stream": stream}
            return httpx2.post(url, json=body, headers=headers, timeout=20)

        with ThreadPoolExecutor(3) as pool:
            short = pool.submit(ask, 3)
            long, whole = pool.submit(ask, 1900), pool.submit(ask, 1900, stream=False)
            assert short.result().text.endswith("data: [DONE]\n\n")
            server.server.should_exit = True
            told, refused = long.result().text.split("data: ")[-1], whole.result()
        assert json.loads(told)["error"]["code"] == "shutting_down"
        assert refused.status_code == 503
        assert refused.json()["error"]["code"] == "shutting_down"
        assert server.reserved() == 0
        outcomes = sorted(str(entry.outcome) for entry in server.charged())
        assert outcomes == ["shutdown", "shutdown", "success"]
        assert all(0 < entry.completion_tokens < 1900 for entry in server.charged())
