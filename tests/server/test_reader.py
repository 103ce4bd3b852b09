"""Whoever does not read holds nothing for long: neither a socket, nor a place, nor the end."""

from __future__ import annotations

import json
import os
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from puna.server import ServerSettings
from tests.server.by_hand import chat_head
from tests.server.serving import MODEL, Served, served

SEND_S = 0.5
DRAIN_S = 1.0
WORDY = {  # some 10 kB a token: more than the kernel keeps for a reader
    "model": MODEL,
    "messages": [{"role": "user", "content": "go on"}],
    "ignore_eos": True,
    "max_tokens": 1500,
    "logprobs": True,
    "top_logprobs": 20,
    "n": 4,
}
EMBEDDINGS = {"model": MODEL, "input": ["go on"] * 2000}
UPLOAD = (
    b"POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\n"
    b"Content-Type: application/json\r\nContent-Length: 100000\r\n\r\n{"
)


@pytest.fixture
def server(tmp_path: Path, tiny_path: Path) -> Iterator[Served]:
    limits = ServerSettings(MODEL, send_s=SEND_S, drain_s=DRAIN_S, header_s=1.0)
    with served(tmp_path, tiny_path, limits) as running:
        running.wait_ready()
        yield running


@contextmanager
def connected(server: Served) -> Iterator[socket.socket]:
    """A client with hardly any room for what comes."""
    with socket.socket() as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        connection.settimeout(20)
        connection.connect(("127.0.0.1", server.port))
        yield connection


def post(connection: socket.socket, server: Served, path: str, **fields: object) -> None:
    body = json.dumps(fields).encode()
    head = (
        f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(body)}\r\n"
        f"Authorization: Bearer {server.key}\r\nContent-Type: application/json\r\n\r\n"
    )
    connection.sendall(head.encode() + body)


def wait_gone(server: Served, patience_s: float = 10.0) -> float:
    """Wait until the server has no connection left; returns the seconds that took."""
    began = time.monotonic()
    while server.server.server_state.connections:
        assert time.monotonic() - began < patience_s, "a connection is still held"
        time.sleep(0.01)
    return time.monotonic() - began


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/v1/chat/completions", {**WORDY, "stream": True}),
        ("/v1/chat/completions", {**WORDY, "max_tokens": 400}),  # written out once it is charged
        ("/v1/embeddings", EMBEDDINGS),
    ],
    ids=["stream", "whole", "embeddings"],
)
def test_who_never_reads_is_cut(server: Served, path: str, body: dict[str, object]) -> None:
    files = len(os.listdir("/proc/self/fd"))
    with connected(server) as deaf:
        post(deaf, server, path, **body)
        while not server.charged():
            time.sleep(0.01)
        assert wait_gone(server) < 16 * SEND_S  # more than twice only on a busy machine
        assert server.wait_idle() < 2
        assert len(os.listdir("/proc/self/fd")) <= files + 1
    (entry,) = server.charged()
    assert entry.prompt_tokens > 0


def test_who_reads_a_little_now_and_then_is_cut_too(server: Served) -> None:
    with connected(server) as trickle:
        post(trickle, server, "/v1/chat/completions", **WORDY, stream=True)
        trickle.recv(10)
        while server.server.server_state.connections:
            time.sleep(SEND_S / 4)
            trickle.recv(10)
        assert server.wait_idle() < 2


def test_who_reads_slowly_gets_everything(server: Served) -> None:
    """Slower than an answer is made, and for longer than any deadline."""
    with connected(server) as slow:
        post(slow, server, "/v1/chat/completions", **{**WORDY, "max_tokens": 300}, stream=True)
        came, began = b"", time.monotonic()
        while not came.endswith(b"0\r\n\r\n"):
            came += slow.recv(2**16)
            if time.monotonic() - began < 6 * SEND_S:
                time.sleep(SEND_S / 10)
        assert b"data: [DONE]" in came


def test_the_end_waits_for_nobody_who_neither_reads_nor_sends(
    tmp_path: Path, tiny_path: Path
) -> None:
    with served(tmp_path, tiny_path, ServerSettings(MODEL, drain_s=DRAIN_S)) as server:
        server.wait_ready()
        with connected(server) as deaf, connected(server) as upload, connected(server) as header:
            post(deaf, server, "/v1/chat/completions", **WORDY, stream=True)
            deaf.recv(10)
            upload.sendall(chat_head(server.key, 10_000) + b"{")
            header.sendall(UPLOAD[:60])
            time.sleep(0.1)
            began = time.monotonic()
            server.server.should_exit = True
            while server.server.server_state.connections or server.reserved():
                assert time.monotonic() - began < DRAIN_S + 4  # 2 on a machine of one's own
                time.sleep(0.01)
            for late in (upload, header):
                answer = late.recv(10_000)
                assert answer.startswith(b"HTTP/1.1 503 ")
                assert (
                    json.loads(answer.partition(b"\r\n\r\n")[2])["error"]["type"] == "server_error"
                )
