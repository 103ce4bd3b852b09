"""A silent stream says that it lives, and who reads slowly gets everything."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest

from puna.server import ServerSettings
from tests.server.by_hand import chat_request
from tests.server.serving import MODEL, Served, served

LONG = {
    "model": MODEL,
    "messages": [{"role": "user", "content": "go on"}],
    "ignore_eos": True,
    "max_tokens": 1500,
    "stream": True,
}
SEQUENCES = 8  # that the served engine computes at once
LIMITS = ServerSettings(MODEL, ping_s=0.05, send_s=0.5)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, tiny_path: Path) -> Iterator[Served]:
    with served(tmp_path_factory.mktemp("stream"), tiny_path, LIMITS) as running:
        httpx2.get(f"{running.url}/health")
        yield running


def asking(server: Served, **more: object) -> socket.socket:
    """Ask over a socket with hardly any room for what comes."""
    connection = socket.socket()
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    connection.settimeout(20)
    connection.connect(("127.0.0.1", server.port))
    connection.sendall(chat_request(server.key, {**LONG, **more}))
    return connection


def everything(connection: socket.socket) -> bytes:
    """Read until the server ends the connection or the stream."""
    came = b""
    while not came.endswith(b"0\r\n\r\n") and (piece := _piece(connection)):
        came += piece
    return came


def _piece(connection: socket.socket) -> bytes:
    try:
        return connection.recv(65536)
    except ConnectionResetError:
        return b""


def test_a_stream_that_waits_its_turn_says_so_until_it_speaks(server: Served) -> None:
    busy = asking(server, n=SEQUENCES)
    busy.recv(100)
    url, headers = f"{server.url}/v1/chat/completions", server.headers()
    body = {**LONG, "max_tokens": 3}
    with httpx2.stream("POST", url, json=body, headers=headers, timeout=20) as waiting:
        lines = waiting.iter_lines()
        assert next(lines).startswith("data: ")  # the opening, which holds no word
        assert [next(lines), next(lines), next(lines)] == ["", ": ping", ""]
        busy.close()
        rest = [line for line in lines if line]
    assert rest[-1] == "data: [DONE]"
    assert sum(line.startswith("data: ") for line in rest) > 1
    server.wait_idle()


def test_who_reads_slowly_gets_everything(server: Served) -> None:
    slow = asking(server, max_tokens=300, logprobs=True, top_logprobs=20)
    came = b""
    for _ in range(6):
        time.sleep(LIMITS.send_s / 3)
        came += slow.recv(20_000)
    came += everything(slow)
    assert b"data: [DONE]" in came
    assert server.wait_idle() < 2
    slow.close()
