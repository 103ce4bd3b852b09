"""Clients of a program that is killed or told to end: what each of them got, to the token.

In: an address and a key.  Out: tokens that came, usage that was told.
"""

from __future__ import annotations

import json
from itertools import count
from threading import Thread
from typing import Any

import httpx2

from puna.chat import Usage

DIALOG = {"model": "slow", "messages": [{"role": "user", "content": "go on"}], "ignore_eos": True}
LONG = {**DIALOG, "stream": True, "logprobs": True}
SHORT: list[tuple[str, dict[str, Any]]] = [
    ("/v1/chat/completions", {**DIALOG, "max_tokens": 9}),
    ("/v1/chat/completions", {**DIALOG, "max_tokens": 70, "stream": True}),
    ("/v1/completions", {"model": "slow", "prompt": "go", "max_tokens": 5, "ignore_eos": True}),
    ("/v1/embeddings", {"model": "slow", "input": ["the first", "another"]}),
]


class Listener(Thread):
    """Reads a stream until it ends or breaks; `tokens` came, and `last` after them."""

    def __init__(self, url: str, key: str, max_tokens: int = 1900) -> None:
        super().__init__()
        self._url, self._headers = url, {"Authorization": f"Bearer {key}"}
        self._body = {**LONG, "max_tokens": max_tokens}
        self.tokens, self.last = 0, ""

    def run(self) -> None:
        url = f"{self._url}/v1/chat/completions"
        with httpx2.Client(headers=self._headers, timeout=60) as client:
            try:
                with client.stream("POST", url, json=self._body) as stream:
                    for line in stream.iter_lines():
                        self._note(line)
            except httpx2.TransportError:
                return

    def _note(self, line: str) -> None:
        if line.startswith("data: "):
            self.last = line.removeprefix("data: ")
        if line.startswith('data: {"id"'):
            for choice in json.loads(self.last)["choices"]:
                self.tokens += len((choice["logprobs"] or {"content": ()})["content"] or ())

    @property
    def ended_well(self) -> bool:
        """Whether it was told how it ended."""
        return self.last == "[DONE]" or "shutting_down" in self.last


class Repeater(Thread):
    """Sends one short request after the other until nobody answers, then the last one again.

    Each is under an Idempotency-Key of its own; `told` is what all answers say they took.
    """

    def __init__(self, url: str, key: str, name: str) -> None:
        super().__init__()
        self._url, self._headers, self._name = url, {"Authorization": f"Bearer {key}"}, name
        self.told, self.answered = Usage(), 0

    def run(self) -> None:
        try:
            for _ in count():
                self.ask(self._url)
        except httpx2.TransportError:
            return

    def ask(self, url: str) -> None:
        """Send the first request that is not answered yet."""
        path, body = SHORT[self.answered % len(SHORT)]
        headers = {**self._headers, "Idempotency-Key": f"{self._name}.{self.answered}"}
        streamed = {"stream_options": {"include_usage": True}} if body.get("stream") else {}
        answer = httpx2.post(f"{url}{path}", json=body | streamed, headers=headers, timeout=60)
        assert answer.status_code == 200, answer.text
        text = answer.text.split("data: ")[-2] if streamed else answer.text
        told = json.loads(text)["usage"]
        self.told += Usage(told["prompt_tokens"], told.get("completion_tokens", 0))
        self.answered += 1
