"""The items of a response: what was said and called, as OpenAI's Responses API has it.

In: items from a client, or kept ones.  Out: checked items, and messages for a
chat.  Knows no model.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Discriminator, Field, Tag

from puna.accounts.schema import new_id
from puna.server.fields import Body
from puna.server.parts import Content, text_of

Object = dict[str, Any]


class MessageItem(Body):
    """One turn; an item without a type is one."""

    type: Literal["message"] = "message"
    role: Literal["user", "assistant", "system", "developer"]
    content: Content

    def item(self) -> Object:
        """Return it as it is kept and listed."""
        kind = "output_text" if self.role == "assistant" else "input_text"
        parts = self.content if isinstance(self.content, list) else [self.content]
        content: list[Object] = [
            {"type": kind, "text": p if isinstance(p, str) else p.text} for p in parts
        ]
        if self.role == "assistant":
            content = [{**part, "annotations": []} for part in content]
        return {
            "id": new_id("msg"),
            "type": "message",
            "status": "completed",
            "role": self.role,
            "content": content,
        }


class CallItem(Body):
    """A function that the assistant called."""

    type: Literal["function_call"]
    call_id: str
    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9_.:-]{1,64}$")]
    arguments: str

    def item(self) -> Object:
        """Return it as it is kept and listed."""
        return call_item(self.call_id, self.name, self.arguments)


class OutputItem(Body):
    """What a called function returned."""

    type: Literal["function_call_output"]
    call_id: Annotated[str, Field(min_length=1)]
    output: Content

    def item(self) -> Object:
        """Return it as it is kept and listed."""
        return {
            "id": new_id("fco"),
            "type": "function_call_output",
            "status": "completed",
            "call_id": self.call_id,
            "output": text_of(self.output),
        }


def _kind(value: object) -> str | None:
    if isinstance(value, dict):
        return str(value.get("type", "message"))
    return getattr(value, "type", None)


InputItem = Annotated[
    Annotated[MessageItem, Tag("message")]
    | Annotated[CallItem, Tag("function_call")]
    | Annotated[OutputItem, Tag("function_call_output")],
    Discriminator(_kind),
]
_AsList = BeforeValidator(
    lambda given: [{"role": "user", "content": given}] if isinstance(given, str) else given,
    json_schema_input_type=str | list[MessageItem | CallItem | OutputItem],
)
Items = Annotated[list[InputItem], _AsList, Field(min_length=1, max_length=2048)]


def call_item(call_id: str, name: str, arguments: str) -> Object:
    """Return a function's call as an item."""
    return {
        "id": new_id("fc"),
        "type": "function_call",
        "status": "completed",
        "call_id": call_id,
        "name": name,
        "arguments": arguments,
    }


def chat_messages(instructions: str | None, items: Iterable[Object]) -> list[Object]:
    """Return the items as a chat's messages; calls join the assistant's turn before them."""
    messages: list[Object] = []
    if instructions:
        messages.append({"role": "system", "content": instructions})
    for item in items:
        if item["type"] == "function_call":
            _assistant_turn(messages).setdefault("tool_calls", []).append(_call(item))
        else:
            messages.append(_message(item))
    return messages


def _assistant_turn(messages: list[Object]) -> Object:
    if not messages or messages[-1]["role"] != "assistant":
        messages.append({"role": "assistant", "content": None})
    return messages[-1]


def _message(item: Object) -> Object:
    if item["type"] == "function_call_output":
        return {"role": "tool", "tool_call_id": item["call_id"], "content": item["output"]}
    return {"role": item["role"], "content": "".join(part["text"] for part in item["content"])}


def _call(item: Object) -> Object:
    function = {"name": item["name"], "arguments": item["arguments"]}
    return {"id": item["call_id"], "type": "function", "function": function}
