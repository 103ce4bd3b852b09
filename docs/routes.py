"""Writes docs/http.md from the server's own OpenAPI description: `make docs`.

In: the application.  Out: Markdown, one section a route.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from puna.accounts import Store
from puna.formats.store import ModelStore
from puna.llm.models import Models
from puna.server import Services, create_app

PAGE = Path(__file__).with_name("http.md")
HEAD = """# The HTTP API

Written by `make docs` from the server's OpenAPI description. Every route but `/health` needs
`Authorization: Bearer puna_sk_…`. Errors are `{"error": {"message", "type", "param", "code"}}`.

Every answer to a valid key says what is left: `x-ratelimit-limit-…`, `-remaining-…` and `-reset-…`
for `requests` and `tokens` as OpenAI has them, and for `monthly-tokens` and `concurrent-requests`;
a limit that the plan does not have has none. `x-puna-balance` (`12.340000 USD`) is there where the
plan has prices. An answer in one piece tells what is left after it was charged; a stream, which
tells it before its first word, with what is reserved for it taken off.

`/v1` is OpenAI's API. `/api/v1` is the assistant: a person's conversations, files, presets and
memory, as the page and `puna chat` have them. It wants a key of that person's:
`puna keys create NAME --user ADDRESS`.
"""


def page() -> str:
    """Return the whole page."""
    with tempfile.TemporaryDirectory() as folder:
        store = Store.open(f"sqlite:///{folder}/puna.db")
        with Models(ModelStore(Path(folder))) as models:
            schema = create_app(Services.of(store, models)).openapi()
        store.close()
    return "\n".join([HEAD, *sections(schema)])


def sections(schema: dict[str, Any]) -> Iterator[str]:
    """Yield the lines of every route, then those of every body."""
    for path, operations in schema["paths"].items():
        for method, operation in operations.items():
            yield f"## {method.upper()} {path}\n\n{operation['description']}\n"
            yield from _query(operation)
            yield from _body(operation)
            yield from _result(operation)
            statuses = ", ".join(operation["responses"])
            yield f"Answers: {statuses}.\n"
    yield "# Bodies\n"
    for name, body in schema["components"]["schemas"].items():
        yield f"## {name}\n\n{body.get('description', '')}\n"
        yield from _fields(body)


def _body(operation: dict[str, Any]) -> Iterator[str]:
    content = operation.get("requestBody", {}).get("content", {})
    for media in content.values():
        yield f"Body: {_type(media['schema'])}.\n"


def _query(operation: dict[str, Any]) -> Iterator[str]:
    asked = [one for one in operation.get("parameters", []) if one["in"] in ("query", "header")]
    if asked:
        yield "Also: " + ", ".join(f"`{one['name']}` ({one['in']})" for one in asked) + ".\n"


def _result(operation: dict[str, Any]) -> Iterator[str]:
    for status in ("200", "201"):
        content = operation["responses"].get(status, {}).get("content", {})
        for media in content.values():
            if "$ref" in media.get("schema", {}):
                yield f"Returns: {_type(media['schema'])}.\n"


def _fields(body: dict[str, Any]) -> Iterator[str]:
    required = body.get("required", [])
    for name, field in body.get("properties", {}).items():
        told = f"; {field['description']}" if "description" in field else ""
        yield f"- `{name}`{' (required)' if name in required else ''}: {_type(field)}{told}"
    yield ""


def _type(schema: dict[str, Any]) -> str:
    """Say what a value may be."""
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        return f"[{name}](#{name.lower()})"
    for several in ("anyOf", "oneOf"):
        if several in schema:
            return " or ".join(_type(one) for one in schema[several])
    if "enum" in schema:
        return " or ".join(f"`{value}`" for value in schema["enum"])
    if "const" in schema:
        return f"`{schema['const']}`"
    if schema.get("type") == "array":
        return f"list of {_type(schema.get('items', {}))}"
    limits = [
        f"{word} {schema[key]}"
        for key, word in (("minimum", "from"), ("maximum", "to"))
        if key in schema
    ]
    return " ".join([schema.get("type", "anything"), *limits])


if __name__ == "__main__":
    PAGE.write_text(page())
