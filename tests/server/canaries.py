"""Words that stand nowhere else, in every field of every body that the API takes.

In: nothing.  Out: bodies, well formed and not, and the places whose words a text holds.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import count
from typing import Any

ROUTES = ("chat/completions", "completions", "embeddings", "responses")


class Canaries:
    """Words that stand nowhere else, each with the place where it was written."""

    def __init__(self, stem: str = "quokka") -> None:
        self.places: dict[str, str] = {}
        self._numbers, self._stem = count(1), stem

    def new(self, place: str) -> str:
        word = f"{self._stem}{next(self._numbers):04d}zyx"
        self.places[word] = place
        return word

    def found_in(self, text: str) -> set[str]:
        """Return the places whose words are in the text."""
        return {place for word, place in self.places.items() if word in text}


def held(text: str, secrets: Mapping[str, str]) -> set[str]:
    """Return the names of the secrets that are in the text, by what is secret of them."""
    return {name for name, secret in secrets.items() if secret[-30:] in text}


def write(canaries: Canaries, route: str, template: Any, path: str = "") -> Any:
    """Return the template with a canary in the place of every "*"."""
    if isinstance(template, dict):
        return {
            write(canaries, route, key, f"{path}.key"): write(
                canaries, route, value, f"{path}.{key}"
            )
            for key, value in template.items()
        }
    if isinstance(template, list):
        return [write(canaries, route, one, f"{path}[]") for one in template]
    if isinstance(template, str) and "*" in template:
        return template.replace("*", canaries.new(f"{route}{path}"))
    return template


FUNCTION = {
    "name": "*",
    "description": "*",
    "parameters": {"type": "object", "properties": {"*": {"enum": ["*"], "description": "*"}}},
}
TOOL = {"type": "function", "function": FUNCTION}
USER = {"role": "user", "content": "*"}
SCHEMA = {"type": "object", "properties": {"a": {"enum": ["*"]}}, "required": ["a"]}
FORM = {"type": "json_schema", "json_schema": {"name": "*", "description": "*", "schema": SCHEMA}}
DIALOG = [
    {"role": "system", "content": "*"},
    {"role": "user", "content": [{"type": "text", "text": "*"}], "name": "*"},
    {
        "role": "assistant",
        "content": "*",
        "tool_calls": [
            {"id": "*", "type": "function", "function": {"name": "*", "arguments": '{"a": "*"}'}}
        ],
    },
    {"role": "tool", "tool_call_id": "*", "content": "*"},
    USER,
]
MODEL = {"model": "tiny"}
SHORT = {**MODEL, "max_tokens": 3, "user": "*", "stop": ["*"]}
ITEMS = [
    {"role": "user", "content": "*"},
    {"type": "function_call", "call_id": "c1", "name": "*", "arguments": '{"a": "*"}'},
    {"type": "function_call_output", "call_id": "c1", "output": "*"},
]
FLAT_TOOL = {"type": "function", "name": "*", "description": "*", "parameters": {"type": "object"}}
BODIES: list[tuple[str, dict[str, Any]]] = [
    ("/v1/chat/completions", {**SHORT, "messages": DIALOG}),
    ("/v1/chat/completions", {**SHORT, "messages": [USER], "tools": [TOOL], "stream": True}),
    ("/v1/chat/completions", {**SHORT, "messages": [USER], "response_format": FORM}),
    ("/v1/chat/completions", {**SHORT, "messages": [USER], "n": 2, "logprobs": True}),
    ("/v1/chat/completions/input_tokens", {**MODEL, "messages": DIALOG, "tools": [TOOL]}),
    ("/v1/completions", {**SHORT, "prompt": "*"}),
    ("/v1/completions", {**SHORT, "prompt": ["*", "*"], "echo": True, "logprobs": 1}),
    ("/v1/embeddings", {**MODEL, "input": "*", "user": "*"}),
    ("/v1/embeddings", {**MODEL, "input": ["*", "*"]}),
    (
        "/v1/responses",
        {**MODEL, "input": ITEMS, "instructions": "*", "max_output_tokens": 3, "user": "*"},
    ),
    ("/v1/responses", {**MODEL, "input": "*", "metadata": {"*": "*"}, "max_output_tokens": 3}),
    ("/v1/responses", {**MODEL, "input": "*", "tools": [FLAT_TOOL], "max_output_tokens": 3}),
    ("/tokenize", {"content": "*"}),
    ("/tokenize", {"prompt": "*", "model": "tiny"}),
]
FAULTS: list[tuple[str, dict[str, Any]]] = [  # each body of these is refused
    *((f"/v1/{route}", {"model": "*", "messages": [USER], "prompt": "*"}) for route in ROUTES),
    *((f"/v1/{route}", {**MODEL, "*": "*", "input": {"*": "*"}}) for route in ROUTES),
    ("/v1/chat/completions", {**SHORT, "messages": [{"role": "*", "content": "*"}]}),
    ("/v1/chat/completions", {**SHORT, "messages": [USER], "temperature": "*"}),
    ("/v1/chat/completions", {**SHORT, "messages": [USER], "tool_choice": "*"}),
    ("/v1/chat/completions", {**MODEL, "messages": [USER], "max_tokens": 99_999}),
    (
        "/v1/chat/completions",
        {
            **SHORT,
            "messages": [USER],
            "response_format": {
                "type": "json_schema",
                "json_schema": {"name": "a", "schema": {"type": "string", "pattern": "(*"}},
            },
        },
    ),
    ("/v1/responses", {**MODEL, "input": "*", "previous_response_id": "*"}),
    ("/tokenize", {"content": "*", "prompt": "*"}),
    ("/tokenize", {"content": "*", "model": "*"}),
    ("/detokenize", {"tokens": ["*"]}),
]
