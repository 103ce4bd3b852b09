"""Every keyword is enforced, says nothing, or is refused by its name and place."""

from __future__ import annotations

from typing import Any

import pytest

from puna.errors import GrammarError
from puna.text.json_schema import blamed, enforceable, loosened

TEXT = {"type": "string"}

REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "unique items": (
        {"type": "object", "properties": {"tags": {"type": "array", "uniqueItems": True}}},
        '"uniqueItems" at #/properties/tags',
    ),
    "not": ({"allOf": [{"not": TEXT}]}, '"not" at #/allOf/0'),
    "if": ({"items": {"if": TEXT, "then": TEXT}}, '"if" at #/items'),
    "contains": ({"prefixItems": [TEXT, {"contains": TEXT}]}, '"contains" at #/prefixItems/1'),
    "names": ({"additionalProperties": {"propertyNames": TEXT}}, "#/additionalProperties"),
    "an unknown format": ({"anyOf": [{"format": "colour"}]}, "\"format\" at #/anyOf/0 is 'colour'"),
    "a lookahead": ({"pattern": "^(?!a)b"}, '"pattern" at # looks around'),
    "a lookbehind": ({"pattern": "(?<=a)b"}, '"pattern" at #'),
    "a word's edge": ({"pattern": r"\bfoo"}, '"pattern" at #'),
    "a back reference": ({"pattern": r"(a)\1"}, '"pattern" at #'),
    "a flag for a limit": ({"minimum": 1, "exclusiveMinimum": True}, '"exclusiveMinimum" at #'),
    "two free names": ({"type": "object", "minProperties": 2}, '"minProperties" at #'),
    "another schema": ({"$ref": "other.json"}, '"$ref" at # leads out'),
    "nowhere": ({"properties": {"a/b": {"$ref": "#/$defs/x"}}}, '"$ref" at #/properties/a~1b'),
    "what is referred to": (
        {"$ref": "#/$defs/a", "$defs": {"a": {"dependentRequired": {}}}},
        '"dependentRequired" at #/$defs/a',
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_enforced_is_refused_by_keyword_and_place(name: str) -> None:
    schema, place = REFUSED[name]
    with pytest.raises(GrammarError) as refusal:
        enforceable(schema)
    assert place in str(refusal.value)


def test_every_fault_is_counted() -> None:
    with pytest.raises(GrammarError, match="and 2 more"):
        enforceable({"not": {}, "items": {"contains": {}, "uniqueItems": True}})


def test_what_says_nothing_of_the_text_is_left_out() -> None:
    schema = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "T",
        "type": "object",
        "properties": {"title": {"type": "string", "description": "kept as a name"}},
        "uniqueItems": False,
        "default": {"not": 1},
        "$defs": {"unused": {"not": {}}},
    }
    assert enforceable(schema) == {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "type": "object",
        "properties": {"title": {"type": "string"}},
        "$defs": {},
    }


def test_values_are_no_schemas() -> None:
    schema = {"enum": [{"not": 1}], "const": {"not": 1}, "properties": {"not": TEXT}}
    assert enforceable(schema) == schema


def test_a_schema_that_refers_to_itself_is_kept() -> None:
    schema = {"type": "object", "properties": {"next": {"$ref": "#"}}}
    assert enforceable(schema) == schema


def test_a_looser_schema_lacks_what_cannot_be_enforced() -> None:
    given = {
        "type": "object",
        "properties": {
            "tags": {"type": "array", "items": TEXT, "uniqueItems": True},
            "when": {"type": "string", "format": "colour"},
            "code": {"type": "string", "pattern": "^(?=a)b"},
            "one": {"oneOf": [TEXT, {"type": "string", "maxLength": 3}]},
        },
        "maxProperties": 3,
        "if": {},
    }
    assert loosened(given) == {
        "type": "object",
        "properties": {
            "tags": {"type": "array", "items": TEXT},
            "when": TEXT,
            "code": TEXT,
            "one": {"anyOf": [TEXT, {"type": "string", "maxLength": 3}]},
        },
    }


@pytest.mark.parametrize("odd", [[], 5, "a", None, {"a": 1}])
def test_malformed_values_do_no_harm(odd: Any) -> None:
    keywords = ("properties", "required", "patternProperties", "items", "anyOf", "$ref", "$defs")
    for keyword in keywords:
        schema = {keyword: odd, "minProperties": 1, "maxProperties": 2}
        if (keyword, odd) not in (("$ref", "a"),):
            enforceable(schema)
        loosened(schema)


@pytest.mark.parametrize(
    ("schema", "message", "named"),
    [
        ({"items": {"oneOf": []}}, "oneOf constraints are not supported", '"oneOf" at #/items'),
        ({"items": {"pattern": "("}}, "regex parse error:\n   (\n", '"pattern" at #/items'),
        ({"maxProperties": 1}, "min/maxProperties only supported", '"maxProperties" at #'),
        ({"type": "x"}, "something else", ""),
    ],
)
def test_the_librarys_complaint_finds_its_keyword(
    schema: dict[str, Any], message: str, named: str
) -> None:
    assert blamed(schema, message) == named
