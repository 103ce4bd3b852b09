"""A bound that is met is told in the API's shape, and everything else goes on."""

from __future__ import annotations

import socket
import time
from pathlib import Path

import httpx2

from puna.accounts import Keys, Users
from puna.server import ServerSettings
from tests.server.serving import MODEL, Served, served

MIB = 2**20
CHAT = {"model": MODEL, "messages": [{"role": "user", "content": "hello"}], "max_tokens": 2}


def persons_key(server: Served) -> str:
    store = server.services.store
    Users(store).create("ann@example.org", "a long pass phrase")
    return Keys(store).create("ann", user="ann@example.org").secret


def attach(server: Served, secret: str, data: bytes = b"It rains.") -> httpx2.Response:
    headers = {**server.headers(secret), "X-File-Name": "a.txt"}
    return httpx2.post(f"{server.url}/api/v1/files", content=data, headers=headers, timeout=60)


def test_a_disk_that_is_almost_full_takes_no_files(tmp_path: Path, tiny_path: Path) -> None:
    with served(tmp_path, tiny_path, ServerSettings(MODEL, spare_bytes=2**62)) as server:
        server.wait_ready()
        secret = persons_key(server)
        url, headers = f"{server.url}/api/v1/import", server.headers(secret)
        for refused in (attach(server, secret), httpx2.post(url, content=b"[]", headers=headers)):
            assert refused.status_code == 507
            error = refused.json()["error"]
            assert (error["code"], error["param"]) == ("insufficient_storage", None)
            assert "almost full" in error["message"]
        chat = httpx2.post(f"{server.url}/v1/chat/completions", json=CHAT, headers=headers)
        assert chat.status_code == 200


def test_a_file_that_is_too_large_is_refused_as_such(server: Served) -> None:
    secret = persons_key(server)
    refused = attach(server, secret, b"x" * (32 * MIB + 1))
    assert refused.status_code == 413
    assert refused.json()["error"]["code"] == "body_too_large"


def test_one_person_sends_so_much_at_once(tmp_path: Path, tiny_path: Path) -> None:
    with served(tmp_path, tiny_path, ServerSettings(MODEL, upload_bytes=4 * MIB)) as server:
        secret = persons_key(server)
        with half_sent(server, secret, 4 * MIB):
            while server.app.state.house.spool.held() < 4 * MIB:
                time.sleep(0.01)  # it comes first: what is being attached counts against it, too
            refused = attached_until(429, server, secret)  # the other one's header has come
            assert refused.json()["error"]["code"] == "rate_limit_exceeded"
            assert int(refused.headers["retry-after"]) > 0
        attached_until(201, server, secret)  # its end is seen


def attached_until(status: int, server: Served, secret: str) -> httpx2.Response:
    for _ in range(500):
        answer = attach(server, secret)
        if answer.status_code == status:
            return answer
        time.sleep(0.01)
    raise AssertionError(f"never {status}, but {answer.status_code}")


def half_sent(server: Served, secret: str, n_bytes: int) -> socket.socket:
    """A connection over which half of a file has come."""
    connection = socket.create_connection(("127.0.0.1", server.port), timeout=60)
    head = (
        "POST /api/v1/files HTTP/1.1\r\nHost: localhost\r\nX-File-Name: b.txt\r\n"
        f"Authorization: Bearer {secret}\r\nContent-Length: {n_bytes}\r\n\r\n"
    )
    connection.sendall(head.encode() + bytes(n_bytes // 2))
    return connection
