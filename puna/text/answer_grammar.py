"""What an answer must look like, as a grammar: text and calls of tools, calls alone, or JSON.

In: how the model writes calls, the tools that may be called, a schema.  Out: a Grammar, or
none where any text may come.  Text is free until a call begins; from there on the tools'
schemas decide.  The calls are written as `calls.GrowingCalls` reads them.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Literal

from puna.chat import Tool
from puna.errors import GrammarError, ToolGrammarError
from puna.text.calls import MOST_CALLS, PYTHON_TAG, CallFormat, CallStyle, Signature
from puna.text.calls.format import embedded, pattern
from puna.text.grammar import JSON_OPTIONS, TAG_RULE, Grammar
from puna.text.grammar_caps import parse_schema
from puna.text.json_schema import enforceable, loosened

Form = Literal["text", "json", "calls"]

_ANY = "(?s:.*)"


def answer_grammar(
    style: CallStyle,
    tools: Sequence[Tool],
    form: Form,
    schema: str | None = None,
    *,
    parallel: bool = True,
) -> Grammar | None:
    """Return the grammar for an answer of the form; "text" and "json" let tools be called, too.

    Raises GrammarError for a schema that is malformed, names too much or cannot be enforced.
    """
    if not tools:
        return Grammar("json_schema", schema) if form == "json" and schema is not None else None
    most = MOST_CALLS if parallel else 1
    signatures = [signature(tool, f"arguments_{at}") for at, tool in enumerate(tools)]
    if form == "json" and schema is not None:
        reply = embedded(enforceable(parse_schema(schema)), JSON_OPTIONS)
        source = _first_format(style, signatures).start_beside(reply, signatures, most)
    elif form == "calls":
        source = _first_format(style, signatures).start(signatures, most)
    else:
        source = _text_or_calls(style, signatures, most)
    source += "".join(
        f"{one.arguments}: {embedded(one.schema, JSON_OPTIONS)}\n" for one in signatures
    )
    schemas = {f"the tool {one.name!r}: ": one.schema for one in signatures}
    return Grammar("calls", f"%llguidance {{}}\n{source}", schemas)


def signature(tool: Tool, rule: str) -> Signature:
    """Return what a grammar needs of a tool; a strict one's schema is enforced whole or refused.

    Of another's, what cannot be enforced is left out; arguments that a plain list of properties
    lacks are not made up.
    """
    given = {"type": "object", **tool.parameters}
    try:
        parse_schema(json.dumps(tool.parameters))
        schema = enforceable(given) if tool.strict else loosened(given)
    except GrammarError as error:
        raise ToolGrammarError(f"the tool {tool.name!r}: {error}") from None
    if not schema.keys() & {"allOf", "anyOf", "oneOf", "$ref", "patternProperties"}:
        schema.setdefault("additionalProperties", False)
    return Signature(tool.name, schema, rule)


def _first_format(style: CallStyle, tools: Sequence[Signature]) -> CallFormat:
    """Return the format that the model is told to use: it must do for every tool."""
    form = style.formats[0]
    for tool in tools:
        if not form.can_write(tool):
            raise ToolGrammarError(
                f"the tool {tool.name!r} cannot be called by this model: it writes calls in "
                "Python, which need parameters with fixed names instead of anyOf and the like"
            )
    return form


def _text_or_calls(style: CallStyle, tools: Sequence[Signature], most: int) -> str:
    """Text that begins no call, or text up to a trigger and calls after it, or a row of calls."""
    ways = [(form, [tool for tool in tools if form.can_write(tool)]) for form in style.formats]
    rows = [(form, fit) for form, fit in ways if not form.trigger and fit]
    inline = [(form, fit) for form, fit in ways if form.trigger not in ("", PYTHON_TAG)]
    tagged = [(form, fit) for form, fit in ways if form.trigger == PYTHON_TAG and fit]
    no_row = "".join(f" & ~/{row.opening_regex(_names(fit))}{_ANY}/" for row, fit in rows)
    no_trigger = "".join(f" & ~/{_ANY}{pattern(one.trigger)}{_ANY}/" for one, _ in inline)
    starts = ["TEXT", *(f"{row.name}_calls" for row, _ in rows)]
    rules = [f"TEXT: /{_ANY}/{no_row}{no_trigger}"]
    for one, _ in inline:
        before = f"BEFORE_{one.name.upper()}"
        starts.append(f"before_{one.name} {one.name}_calls")
        rules.append(f"before_{one.name}[lazy]: {before}")
        rules.append(f"{before}: /{_ANY}{pattern(one.trigger)}/{no_row}")
    if style.has_tag:
        starts += (f"tag {row.name}_calls" for row, _ in rows)
        starts += (f"TEXT tag {one.name}_calls" for one, _ in tagged)
        rules.append(TAG_RULE.strip())
    used = rows + inline + (tagged if style.has_tag else [])
    rules += (form.rules(fit, most) for form, fit in used)
    return f"start: {' | '.join(starts)}\n" + "\n".join(rules) + "\n"


def _names(tools: Sequence[Signature]) -> list[str]:
    return [tool.name for tool in tools]
