"""What a Jinja template would write and ask about, read without running it.

In: a template's source.  Out: its strings, its raw text, and the names in it.
Does not know any model's format.
"""

from __future__ import annotations

from dataclasses import dataclass

import jinja2

_LONGEST_SOURCE = 64 * 1024  # characters; Llama 3.1's own has 4,700


@dataclass(frozen=True)
class Literals:
    """A template's vocabulary, in order of appearance."""

    strings: tuple[str, ...]
    raw: str  # text outside of all tags
    names: frozenset[str]  # variables, attributes, filters, tests and keywords


def read_literals(source: str) -> Literals | None:
    """Lex the template; None if it is too long or no Jinja."""
    if len(source) > _LONGEST_SOURCE:
        return None
    environment = jinja2.Environment(trim_blocks=True, lstrip_blocks=True)
    try:
        tokens = list(environment.lexer.tokenize(source))
    except jinja2.TemplateSyntaxError:
        return None
    return Literals(
        strings=tuple(token.value for token in tokens if token.type == "string"),
        raw="".join(token.value for token in tokens if token.type == "data"),
        names=frozenset(token.value for token in tokens if token.type == "name"),
    )
