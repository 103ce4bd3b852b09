"""A dialog and two tools, for tests of what a model may call."""

from __future__ import annotations

from typing import Any

HELLO: Any = [{"role": "user", "content": "hello there"}]
WEATHER: Any = {
    "type": "function",
    "function": {
        "name": "weather",
        "parameters": {
            "type": "object",
            "properties": {"city": {"enum": ["Bern", "Oslo"]}, "days": {"enum": [1, 2]}},
            "required": ["city", "days"],
        },
    },
}
CLOCK: Any = {"type": "function", "function": {"name": "clock"}}


def strict(tool: Any) -> Any:
    """The tool as OpenAI's own helpers want it."""
    closed = {"properties": {}, "required": [], "additionalProperties": False}
    given = tool["function"].get("parameters", {"type": "object"})
    function = {**tool["function"], "strict": True, "parameters": {**closed, **given}}
    return {"type": "function", "function": function}
