"""A server's /api/v1: one method for each thing that a terminal asks.

In: an access.  Out: records and events; every failure is a PunaError.  Knows no terminal.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any
from urllib.parse import quote

import httpx2

from puna.cli.remote.access import Access
from puna.cli.remote.records import (
    Conversation,
    Fact,
    File,
    Json,
    Left,
    Message,
    Model,
    Preset,
    Tool,
    read,
    read_all,
    safe,
    strange,
)
from puna.errors import AuthenticationError, NotFoundError, RemoteError

WAIT = httpx2.Timeout(20)
WHILE_READING = httpx2.Timeout(20, read=300)  # a long PDF
WHILE_ANSWERING = httpx2.Timeout(30, read=None)  # a model may think for long
TURN = "x-puna-turn"

Told = tuple[str, Iterator[Json]]  # a turn's id, and its events


class Api:
    """Asks with the key that is good at the moment."""

    def __init__(self, access: Access) -> None:
        self._access = access
        # A proxy of the environment has no business between us and our own machine.
        self._client = httpx2.Client(timeout=WAIT, trust_env=not access.near)

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    @property
    def url(self) -> str:
        """The server's address."""
        return self._access.now()[0]

    def me(self) -> Json:
        """Whose key it is: name, model, left."""
        return self._json("GET", "/me")

    def left(self) -> Left:
        """What is left of the plan."""
        return read(Left, self.me().get("left"))

    def conversations(self, words: str = "", limit: int = 20) -> list[Conversation]:
        """The latest, or those that hold the words."""
        query = {"q": words, "limit": limit}
        return read_all(
            Conversation, self._json("GET", "/conversations", params=query).get("conversations")
        )

    def conversation(
        self, id_: str, limit: int = 100
    ) -> tuple[Conversation, list[Message], str | None]:
        """A conversation, its last messages, and the turn that is being answered in it."""
        found = self._json("GET", f"/conversations/{_part(id_)}", params={"limit": limit})
        messages = read_all(Message, found.get("messages"))
        return read(Conversation, found), messages, found.get("running")

    def change(self, id_: str, **what: str | None) -> Conversation:
        """Give it another title, model or preset."""
        return read(Conversation, self._json("PATCH", f"/conversations/{_part(id_)}", json=what))

    def delete(self, id_: str) -> None:
        """Delete it for good."""
        self._ask("DELETE", f"/conversations/{_part(id_)}")

    def export(self, id_: str, kind: str) -> str:
        """Its text, "md" or "json"."""
        return self._ask("GET", f"/conversations/{_part(id_)}/export.{kind}").text

    def turn(self, said: dict[str, Any]) -> AbstractContextManager[Told]:
        """Say something: the turn's id, and what happens."""
        return self._streamed("POST", "/turns", json=said)

    def follow(self, turn: str) -> AbstractContextManager[Told]:
        """Hear a running turn from its beginning."""
        return self._streamed("GET", f"/turns/{_part(turn)}")

    def stop(self, turn: str) -> None:
        """End a turn."""
        self._ask("DELETE", f"/turns/{_part(turn)}")

    def attach(self, name: str, data: bytes) -> File:
        """Have a file read and kept."""
        headers = {"X-File-Name": quote(name), "Content-Type": "application/octet-stream"}
        more: dict[str, Any] = {"content": data, "headers": headers, "timeout": WHILE_READING}
        return read(File, self._json("POST", "/files", **more))

    def presets(self) -> list[Preset]:
        """Who the assistant may be."""
        return read_all(Preset, self._json("GET", "/presets").get("presets"))

    def models(self) -> list[Model]:
        """What may answer."""
        return read_all(Model, self._json("GET", "/models").get("models"))

    def tools(self) -> list[Tool]:
        """What a model may call."""
        return read_all(Tool, self._json("GET", "/tools").get("tools"))

    def memory(self) -> tuple[bool, list[Fact]]:
        """Whether it is used, and what stands in it."""
        found = self._json("GET", "/memory")
        return bool(found.get("enabled")), read_all(Fact, found.get("facts"))

    def switch_memory(self, enabled: bool) -> None:
        """Use it, or leave it alone."""
        self._ask("PUT", "/memory", json={"enabled": enabled})

    def remember(self, text: str) -> Fact:
        """Keep a fact."""
        return read(Fact, self._json("POST", "/memory", json={"text": text}))

    def confirm(self, fact: str) -> None:
        """Keep what was proposed."""
        self._ask("POST", f"/memory/{_part(fact)}/confirm")

    def forget(self, fact: str) -> None:
        """Forget a fact."""
        self._ask("DELETE", f"/memory/{_part(fact)}")

    def _json(self, method: str, path: str, **more: Any) -> dict[str, Any]:
        try:
            found = self._ask(method, path, **more).json()
        except ValueError:
            raise strange() from None
        if not isinstance(found, dict):
            raise strange()
        return found

    def _ask(self, method: str, path: str, **more: Any) -> httpx2.Response:
        with _reaching(self._access):
            answer = self._client.send(self._request(method, path, **more))
        _check(answer)
        return answer

    @contextmanager
    def _streamed(self, method: str, path: str, **more: Any) -> Iterator[Told]:
        request = self._request(method, path, timeout=WHILE_ANSWERING, **more)
        with _reaching(self._access):
            answer = self._client.send(request, stream=True)
        try:
            with _reaching(self._access):
                if answer.is_error:
                    answer.read()
                _check(answer)
                yield answer.headers.get(TURN, ""), _events(answer)
        finally:
            answer.close()

    def _request(self, method: str, path: str, **more: Any) -> httpx2.Request:
        url, key = self._access.now()
        headers = {**more.pop("headers", {}), "Authorization": f"Bearer {key}"}
        return self._client.build_request(method, f"{url}/api/v1{path}", headers=headers, **more)


def _part(text: str) -> str:
    return quote(text, safe="")


def _events(answer: httpx2.Response) -> Iterator[Json]:
    for line in answer.iter_lines():
        try:
            event = safe(json.loads(line))
        except ValueError:
            raise strange() from None
        if not isinstance(event, dict):
            raise strange()
        yield event


@contextmanager
def _reaching(access: Access) -> Iterator[None]:
    try:
        yield
    except httpx2.HTTPError as error:
        url = access.now()[0]
        raise RemoteError(f"{url} does not answer: {error or type(error).__name__}") from error


def _check(answer: httpx2.Response) -> None:
    """Raise what the server says."""
    if not answer.is_error:
        return
    try:
        message = str(safe(answer.json()["error"]["message"]))
    except (ValueError, KeyError, TypeError):
        message = f"it answers {answer.status_code}; is it a Puna server?"
    kinds = {401: AuthenticationError, 404: NotFoundError}
    raise kinds.get(answer.status_code, RemoteError)(f"the server says: {message}")
