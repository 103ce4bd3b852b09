"""What of a JSON schema a grammar can enforce, keyword by keyword.

In: a schema.  Out: the same without what says nothing of the text; or GrammarError, which names
the keyword and where it stands; or, where asked to, a looser schema without such keywords.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from puna.errors import GrammarError

Schema = Mapping[str, Any]

FORMATS = frozenset(
    ("date-time", "time", "date", "duration", "email", "hostname", "ipv4", "ipv6", "uuid", "uri")
)

# A text satisfies these or not, but no grammar of ours can tell.
_UNENFORCED = frozenset(
    (
        *("not", "if", "then", "else", "contains", "minContains", "maxContains", "uniqueItems"),
        *("propertyNames", "dependentRequired", "dependentSchemas", "dependencies"),
        *("unevaluatedProperties", "unevaluatedItems", "$dynamicRef", "$dynamicAnchor"),
        *("$recursiveRef", "$recursiveAnchor"),
    )
)
_SAYS_NOTHING: Mapping[str, Any] = {
    "uniqueItems": False,
    "unevaluatedProperties": True,
    "unevaluatedItems": True,
}
_ANNOTATIONS = frozenset(
    (
        *("title", "description", "default", "examples", "example", "$comment", "deprecated"),
        *("readOnly", "writeOnly", "x-guidance"),
    )
)
_NAMED = frozenset(("properties", "patternProperties", "$defs", "definitions"))  # name -> schema
_LISTED = frozenset(("anyOf", "oneOf", "allOf", "prefixItems"))
_SINGLE = frozenset(("items", "additionalItems", "additionalProperties"))
_SHARED = ("$defs", "definitions")

# How the grammar library's messages name a keyword.
_SAID_OF: Mapping[str, Sequence[str]] = {
    "oneOf": ("oneOf",),
    "patternProperties": ("patternProperty",),
    "maxProperties": ("maxProperties",),
    "minProperties": ("minProperties", "min/maxProperties"),
    "$ref": ("esource",),
}

# Looking around, referring back and the edges of words are beyond regular languages, or ours.
_IRREGULAR = re.compile(r"(?<!\\)(?:\\\\)*(?:\(\?(?:[=!]|<[=!])|\\[1-9bBk])")

# The library lets \\" and \\\\ stand for any class that holds all control characters, though it may
# exclude them, as [^"] does.  Without the zero byte a class is a little narrower, and read rightly.
_NEGATED = re.compile(r"((?<!\\)(?:\\\\)*\[\^)")
_FROM_ZERO = re.compile(r"(?:\x00|\\0|\\x00|\\u0000|\\[xu]\{0+\})-")


@dataclass(frozen=True)
class Fault:
    """A keyword that cannot be enforced, where it stands, and why."""

    keyword: str
    path: str
    reason: str

    def __str__(self) -> str:
        return f'"{self.keyword}" at {self.path} {self.reason}'


def enforceable(schema: Schema) -> dict[str, Any]:
    """Return the schema without annotations; raises GrammarError for what cannot be enforced."""
    faults: list[Fault] = []
    cleaned = _Cleaning(schema, faults.append).root()
    if faults:
        more = f" (and {len(faults) - 1} more)" if len(faults) > 1 else ""
        raise GrammarError(f"the schema's {faults[0]}{more}; leave it out or say it otherwise")
    return cleaned


def loosened(schema: Schema) -> dict[str, Any]:
    """Return the schema without annotations and without what cannot be enforced."""
    return _Cleaning(schema, lambda _: None, loosen=True).root()


def blamed(schema: Schema, message: str) -> str:
    """Return which keyword the grammar library's message is about, where that can be told."""
    for path, keyword, value in _keywords(schema, "#"):
        words = (value,) if keyword == "pattern" else _SAID_OF.get(keyword, ())
        if any(isinstance(word, str) and word in message for word in words):
            return f'"{keyword}" at {path}'
    return ""


class _Cleaning:
    """One pass over a schema; each fault is reported, and its keyword left out."""

    def __init__(self, root: Schema, report: Callable[[Fault], None], loosen: bool = False) -> None:
        self._root, self._report, self._loosen = root, report, loosen
        self._used = {ref for ref in _references(root) if isinstance(ref, str)}

    def root(self) -> dict[str, Any]:
        cleaned = self._cleaned(self._root, "#")
        assert isinstance(cleaned, dict)
        return cleaned

    def _cleaned(self, schema: Any, path: str) -> Any:
        if not isinstance(schema, dict):
            return schema
        kept: dict[str, Any] = {}
        for keyword, value in schema.items():
            if keyword in _ANNOTATIONS or (keyword, value) in _SAYS_NOTHING.items():
                continue
            fault = _fault(keyword, value, schema, path, self._root)
            if fault is None:
                kept[keyword] = self._inside(keyword, value, f"{path}/{_escaped(keyword)}")
            else:
                self._report(fault)
        return _without_choices(kept) if self._loosen else kept

    def _inside(self, keyword: str, value: Any, path: str) -> Any:
        if keyword == "pattern" and isinstance(value, str):
            return _narrowed(value)
        if keyword in _NAMED and isinstance(value, dict):
            names = value if keyword not in _SHARED else self._used_of(value, path)
            spelt = _narrowed if keyword == "patternProperties" else str
            return {
                spelt(name): self._cleaned(value[name], f"{path}/{_escaped(name)}")
                for name in names
            }
        if (keyword in _LISTED or keyword == "items") and isinstance(value, list):
            return [self._cleaned(one, f"{path}/{at}") for at, one in enumerate(value)]
        return self._cleaned(value, path) if keyword in _SINGLE else value

    def _used_of(self, shared: Schema, path: str) -> list[str]:
        """Return the names of shared schemas that something refers to."""
        return [name for name in shared if any(_leads(r, path, name) for r in self._used)]


def _narrowed(pattern: str) -> str:
    """Return the pattern with the zero byte taken from its negated classes."""
    return _NEGATED.sub(r"\1\\x00", pattern)


def _fault(keyword: str, value: Any, schema: Schema, path: str, root: Schema) -> Fault | None:
    """Return what is wrong with a keyword's use here."""
    reason = None
    if keyword in _UNENFORCED:
        reason = "cannot be enforced"
    elif keyword == "format" and _is_text(schema) and value not in FORMATS:
        reason = f"is {value!r}, which cannot be enforced; known are {', '.join(sorted(FORMATS))}"
    elif keyword == "pattern" and isinstance(value, str) and _IRREGULAR.search(value):
        reason = "looks around, refers back or asks for a word's edge, which cannot be enforced"
    elif keyword == "pattern" and isinstance(value, str) and _FROM_ZERO.search(value):
        reason = "has a range from the zero byte on, which cannot be enforced"
    elif keyword in ("exclusiveMinimum", "exclusiveMaximum") and isinstance(value, bool):
        reason = "must be a number"
    elif keyword == "minProperties" and _asks_for_distinct_names(value, schema):
        reason = "asks for several names of the answer's own choice, which cannot be enforced"
    elif keyword == "$ref" and isinstance(value, str) and not _is_found(value, root):
        reason = "leads out of the schema, or to nothing in it"
    return Fault(keyword, path, reason) if reason else None


def _is_text(schema: Schema) -> bool:
    kind = schema.get("type", "string")
    return kind == "string" or (isinstance(kind, list) and "string" in kind)


def _asks_for_distinct_names(least: Any, schema: Schema) -> bool:
    """Names that are made up may come twice, and count once for whoever reads the JSON."""
    return isinstance(least, int | float) and least > max(1, len(_listed(schema, "required")))


def _is_found(reference: str, root: Schema) -> bool:
    """Whether a pointer leads somewhere; an anchor's name is left to the grammar library."""
    if not reference.startswith("#/"):
        return reference.startswith("#")
    place: Any = root
    for step in reference[2:].split("/"):
        name = step.replace("~1", "/").replace("~0", "~")
        if isinstance(place, list) and name.isdecimal() and int(name) < len(place):
            place = place[int(name)]
        elif isinstance(place, dict) and name in place:
            place = place[name]
        else:
            return "%" in step  # written for a URL: the library reads that, too
    return True


def _without_choices(schema: dict[str, Any]) -> dict[str, Any]:
    """Widen what can be enforced at times only: exactly one of several, and how many names."""
    loose = {"anyOf" if key == "oneOf" else key: value for key, value in schema.items()}
    if any(name not in _listed(schema, "required") for name in _named(schema, "properties")):
        loose.pop("maxProperties", None)
    if len(_named(schema, "patternProperties")) > 1:
        loose.pop("patternProperties")
        loose["additionalProperties"] = True
    return loose


def _named(schema: Schema, keyword: str) -> Schema:
    value = schema.get(keyword)
    return value if isinstance(value, dict) else {}


def _listed(schema: Schema, keyword: str) -> list[Any]:
    value = schema.get(keyword)
    return value if isinstance(value, list) else []


def _leads(reference: str, path: str, name: str) -> bool:
    pointer = f"{path}/{_escaped(name)}"
    return reference == pointer or reference.startswith(f"{pointer}/") or "%" in reference


def _references(value: Any) -> Iterator[Any]:
    if isinstance(value, dict):
        yield from (inner for key, inner in value.items() if key == "$ref")
        for inner in value.values():
            yield from _references(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _references(inner)


def _keywords(value: Any, path: str) -> Iterator[tuple[str, str, Any]]:
    if isinstance(value, dict):
        for key, inner in value.items():
            yield path, key, inner
            yield from _keywords(inner, f"{path}/{_escaped(key)}")
    elif isinstance(value, list):
        for at, inner in enumerate(value):
            yield from _keywords(inner, f"{path}/{at}")


def _escaped(name: str) -> str:
    return name.replace("~", "~0").replace("/", "~1")
