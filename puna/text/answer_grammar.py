"""What an answer must look like, as a grammar: calls of tools, JSON, or either.

In: the template's name, the tools that may be called, a schema.  Out: a
Grammar, or none where free text may come.  The calls are written as
`tools.parse_tool_calls` reads them.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, Literal

from puna.chat import Tool
from puna.text.grammar import JSON_OPTIONS, Grammar
from puna.text.grammar_caps import parse_schema

Form = Literal["text", "json", "calls"]

MOST_CALLS = 16  # in one answer


def answer_grammar(
    template_name: str,
    tools: Sequence[Tool],
    form: Form,
    schema: str | None = None,
    *,
    parallel: bool = True,
) -> Grammar | None:
    """Return the grammar for an answer of the form; "json" lets tools be called, too.

    Raises GrammarError for a schema that is malformed or names too much.
    """
    if form == "text":
        return None
    if form == "json" and schema is not None:
        if not tools:
            return Grammar("json_schema", schema)
        reply = f" | %json {_embedded(parse_schema(schema))}"
        return Grammar("lark", _calls(template_name, tools, parallel) + f"start: calls{reply}\n")
    return Grammar("lark", _calls(template_name, tools, parallel) + "start: calls\n")


def _calls(template_name: str, tools: Sequence[Tool], parallel: bool) -> str:
    """Rules for one call, or several one after the other."""
    more = f"{{0,{MOST_CALLS - 1}}}" if parallel else "{0,0}"
    if template_name == "chatml":
        call = f'"<tool_call>\\n" %json {_call_schema(tools, "arguments")} "\\n</tool_call>"'
        between = '"\\n"'
    else:
        call, between = f"%json {_call_schema(tools, 'parameters')}", '"; "'
    rest = f" ({between} call){more}" if parallel else ""
    return f"%llguidance {{}}\ncall: {call}\ncalls: call{rest}\n"


def _call_schema(tools: Sequence[Tool], arguments: str) -> str:
    """The schema of one call of any of the tools."""
    schemas = [_one_call(tool, arguments) for tool in tools]
    for schema in schemas:
        parse_schema(json.dumps(schema))
    return _embedded(schemas[0] if len(schemas) == 1 else {"anyOf": schemas})


def _one_call(tool: Tool, arguments: str) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": {"name": {"const": tool.name}, arguments: _arguments(tool)},
        "required": ["name", arguments],
        "additionalProperties": False,
    }


def _arguments(tool: Tool) -> dict[str, Any]:
    """The tool's own schema; arguments that a plain list of properties lacks are not made up."""
    schema = {"type": "object", **tool.parameters}
    if not schema.keys() & {"allOf", "anyOf", "oneOf", "$ref", "patternProperties"}:
        schema.setdefault("additionalProperties", False)
    return schema


def _embedded(schema: dict[str, Any]) -> str:
    """The schema as the grammar's language embeds it."""
    return json.dumps({**schema, "x-guidance": JSON_OPTIONS})
