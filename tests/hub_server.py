"""A small model hub on loopback that speaks what huggingface_hub asks.

In: repositories as name -> bytes, and faults to commit.  Out: real HTTP on two
ports: the hub, and the storage host to which it redirects large files, as
huggingface.co does.  Does not know what is in a file.

    with HubServer({"org/repo": {"model.gguf": b"..."}}) as hub:
        Hub(endpoint=hub.url, token="secret").files("org/repo")
        hub.storage_requests          # what reached the other host, with its headers
        hub.cuts.append(1000)         # the next large answer breaks off after 1,000 bytes
"""

from __future__ import annotations

import hashlib
import json
import re
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, ClassVar, Self
from urllib.parse import unquote, urlsplit

COMMIT = "0123456789abcdef0123456789abcdef01234567"
LARGE_BYTES = 1000  # files from this size on are in "LFS": SHA-256, and served by the storage host


@dataclass(frozen=True)
class SeenRequest:
    """One request as it arrived; header names in lower case."""

    method: str
    path: str
    headers: Mapping[str, str]


@dataclass
class HubServer:
    """Fields may be changed while it runs; each cut is used up by one answer."""

    repos: dict[str, dict[str, bytes]]
    gated: set[str] = field(default_factory=set)
    cuts: list[int] = field(default_factory=list)
    broken: list[int] = field(default_factory=list)  # status codes for the next large answers
    digests: dict[str, str] = field(default_factory=dict)  # file name -> what the hub claims
    sizes: dict[str, int] = field(default_factory=dict)  # file name -> what the hub claims
    ranges: bool = True
    compressed: bool = False
    endless: bool = False
    hub_requests: list[SeenRequest] = field(default_factory=list)
    storage_requests: list[SeenRequest] = field(default_factory=list)

    def __enter__(self) -> Self:
        self._hub = _start(type("HubHandler", (_HubHandler,), {"hub": self}))
        self._storage = _start(type("StorageHandler", (_StorageHandler,), {"hub": self}))
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for server in (self._hub, self._storage):
            server.shutdown()
            server.server_close()

    @property
    def url(self) -> str:
        """What HF_ENDPOINT would be."""
        return f"http://127.0.0.1:{self._hub.server_port}"

    @property
    def storage_url(self) -> str:
        """The other host: another port is another origin."""
        return f"http://127.0.0.1:{self._storage.server_port}"


def _start(handler: type[BaseHTTPRequestHandler]) -> ThreadingHTTPServer:
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    return server


class _Handler(BaseHTTPRequestHandler):
    """HTTP/1.0: each answer ends with its connection, so that a cut is a cut."""

    hub: ClassVar[HubServer]

    def seen(self) -> SeenRequest:
        headers = {name.lower(): value for name, value in self.headers.items()}
        return SeenRequest(self.command, self.path, headers)

    def answer(self, status: int, body: bytes = b"", **headers: str) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body)

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_GET(self) -> None:
        raise NotImplementedError

    def log_message(self, format: str, *args: object) -> None:
        """Keep the test's output clean."""


class _HubHandler(_Handler):
    def do_GET(self) -> None:
        self.hub.hub_requests.append(self.seen())
        path = unquote(urlsplit(self.path).path)
        listing = re.fullmatch(r"/api/models/([^/]+/[^/]+)(?:/revision/[^/]+)?", path)
        resolve = re.fullmatch(r"/([^/]+/[^/]+)/resolve/([^/]+)/(.+)", path)
        repo = listing or resolve
        if repo is None or repo[1] not in self.hub.repos:
            self.answer(404, X_Error_Code="RepoNotFound", X_Error_Message="Repository not found")
        elif listing:
            self.answer(200, json.dumps(self._listing(listing[1])).encode())
        elif resolve:
            self._resolve(resolve[1], resolve[2], resolve[3])

    def _listing(self, repo: str) -> dict[str, Any]:
        files = self.hub.repos[repo].items()
        return {
            "id": repo,
            "sha": COMMIT,
            "siblings": [self._sibling(name, content) for name, content in files],
        }

    def _sibling(self, name: str, content: bytes) -> dict[str, Any]:
        size = self.hub.sizes.get(name, len(content))
        blob = self.hub.digests.get(name, git_sha1(content))
        entry: dict[str, Any] = {"rfilename": name, "size": size, "blobId": blob}
        if len(content) >= LARGE_BYTES:
            digest = self.hub.digests.get(name, hashlib.sha256(content).hexdigest())
            entry["lfs"] = {"sha256": digest, "size": size, "pointerSize": 134}
        return entry

    def _resolve(self, repo: str, revision: str, name: str) -> None:
        content = self.hub.repos[repo].get(name)
        if repo in self.hub.gated:
            self.answer(403, X_Error_Code="GatedRepo", X_Error_Message="Access is restricted")
        elif content is None or revision not in {COMMIT, "main"}:
            self.answer(404, X_Error_Code="EntryNotFound")
        elif len(content) >= LARGE_BYTES:
            self.answer(
                302,
                Location=f"{self.hub.storage_url}/{repo}/{name}",
                X_Repo_Commit=COMMIT,
                X_Linked_Etag=f'"{hashlib.sha256(content).hexdigest()}"',
                X_Linked_Size=str(len(content)),
            )
        else:
            self.answer(200, content, ETag=f'"{git_sha1(content)}"', X_Repo_Commit=COMMIT)


class _StorageHandler(_Handler):
    def do_GET(self) -> None:
        self.hub.storage_requests.append(self.seen())
        if self.hub.broken:
            self.answer(self.hub.broken.pop(0))
            return
        org, repo, name = unquote(self.path).lstrip("/").split("/", 2)
        self._send(self.hub.repos[f"{org}/{repo}"][name])

    def _send(self, content: bytes) -> None:
        start = self._start_byte()
        self.send_response(206 if start else 200)
        if start:
            self.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
        if self.hub.compressed:
            self.send_header("Content-Encoding", "gzip")
        if not self.hub.endless:
            self.send_header("Content-Length", str(len(content) - start))
        self.end_headers()
        body = content[start:]
        self.wfile.write(body[: self.hub.cuts.pop(0)] if self.hub.cuts else body)
        while self.hub.endless:
            self.wfile.write(content)

    def _start_byte(self) -> int:
        match = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", ""))
        return int(match[1]) if match and self.hub.ranges else 0

    def handle(self) -> None:
        """A client that goes away during an endless answer is what that test wants."""
        try:
            super().handle()
        except ConnectionError:
            self.close_connection = True


def git_sha1(content: bytes) -> str:
    """How git, and so the hub, names a small file."""
    return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()
