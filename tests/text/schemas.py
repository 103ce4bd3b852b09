"""Schemas as people write them, one a kind of trouble: what fits each must validate.

In: nothing.  Out: SCHEMAS by name, REFUSED by name with the keyword and place to be named.
"""

from __future__ import annotations

from typing import Any

Schema = dict[str, Any]

TEXT: Schema = {"type": "string", "maxLength": 6}
WHOLE: Schema = {"type": "integer", "minimum": -99, "maximum": 99}


def closed(properties: Schema, *optional: str) -> Schema:
    """An object with these properties and no others."""
    return {
        "type": "object",
        "properties": properties,
        "required": [name for name in properties if name not in optional],
        "additionalProperties": False,
    }


def several(items: Schema, least: int, most: int) -> Schema:
    return {"type": "array", "items": items, "minItems": least, "maxItems": most}


SCHEMAS: dict[str, Schema] = {
    "a truth value": {"type": "boolean"},
    "nothing": {"type": "null"},
    "a whole number": WHOLE,
    "a number": {"type": "number", "minimum": 0, "maximum": 1},
    "a number above and below": {"type": "number", "exclusiveMinimum": -2, "exclusiveMaximum": 2.5},
    "a multiple": {"type": "integer", "multipleOf": 7, "minimum": 1, "maximum": 100},
    "an even number": {"type": "integer", "multipleOf": 2, "minimum": 0, "maximum": 10},
    "a short text": TEXT,
    "a text of some length": {"type": "string", "minLength": 2, "maxLength": 4},
    "a text of emoji or not": {"type": "string", "minLength": 3, "maxLength": 3},
    "a pattern": {"type": "string", "pattern": "^[A-Z]{2}-[0-9]{3}$"},
    "a pattern anywhere": {"type": "string", "pattern": "[0-9]+", "maxLength": 8},
    "a pattern with a slash": {"type": "string", "pattern": "^https?:\\/\\/[a-z]{1,8}\\.org$"},
    "a pattern and a length": {"type": "string", "pattern": "^[a-z]*$", "maxLength": 5},
    "quotes in a pattern": {"type": "string", "pattern": '^"[a-z]{1,3}"$'},
    "no quotes": {"type": "string", "pattern": '^[^"]{1,3}$'},
    "no backslash, no letter": {"type": "string", "pattern": "^[^\\\\a-z]{2}$"},
    "names without quotes": {
        "type": "object",
        "patternProperties": {'^[^"a]{1,2}$': WHOLE},
        "additionalProperties": False,
        "maxProperties": 2,
    },
    "control characters": {"enum": ["a\x00b", "\x1f"]},
    "a date": {"type": "string", "format": "date"},
    "a time": {"type": "string", "format": "time"},
    "a moment": {"type": "string", "format": "date-time"},
    "a duration": {"type": "string", "format": "duration"},
    "an address": {"type": "string", "format": "ipv4"},
    "an identity": {"type": "string", "format": "uuid"},
    "an enumeration": {"enum": ["red", "green", 3, None, True]},
    "an enumeration of one kind": {"type": "string", "enum": ["a", "b", 3]},
    "a constant": {"const": {"a": [1, "x"]}},
    "odd constants": {"enum": ['say "hi"', "back\\slash", "new\nline", "ü", ""]},
    "either type": {"type": ["integer", "null"], "minimum": 0, "maximum": 9},
    "a pair": closed({"name": TEXT, "age": WHOLE}),
    "something optional": closed({"a": WHOLE, "b": WHOLE, "c": {"type": "boolean"}}, "a", "b"),
    "all optional": closed({"a": WHOLE, "b": WHOLE}, "a", "b"),
    "an empty object": closed({}),
    "objects within": closed({"outer": closed({"inner": closed({"x": WHOLE})})}),
    "odd names": closed({"a b": WHOLE, 'q"': WHOLE, "ü": WHOLE, "$ref": WHOLE, "": WHOLE}),
    "names that are keywords": closed({"type": WHOLE, "not": WHOLE, "properties": WHOLE}),
    "more may come": {
        "type": "object",
        "properties": {"a": WHOLE},
        "required": ["a"],
        "maxProperties": 3,
    },
    "a map": {"type": "object", "additionalProperties": WHOLE, "maxProperties": 2},
    "a map with something in it": {
        "type": "object",
        "additionalProperties": WHOLE,
        "minProperties": 1,
        "maxProperties": 2,
    },
    "names by pattern": {
        "type": "object",
        "patternProperties": {"^n_[a-c]{1,2}$": WHOLE},
        "additionalProperties": False,
        "maxProperties": 3,
    },
    "two patterns": {
        "type": "object",
        "patternProperties": {"^a[0-9]$": WHOLE, "^b[0-9]$": TEXT},
        "additionalProperties": False,
        "maxProperties": 3,
    },
    "a name and a pattern": {
        "type": "object",
        "properties": {"ab": WHOLE},
        "patternProperties": {"^a[c-z]$": TEXT},
        "required": ["ab"],
        "additionalProperties": False,
        "maxProperties": 2,
    },
    "required without a schema": {
        "type": "object",
        "required": ["x"],
        "additionalProperties": WHOLE,
        "maxProperties": 2,
    },
    "a list": several(WHOLE, 1, 4),
    "a list of lists": several(several(WHOLE, 0, 2), 1, 3),
    "a list of objects": several(closed({"id": WHOLE, "ok": {"type": "boolean"}}, "ok"), 1, 2),
    "an empty list": several(WHOLE, 0, 0),
    "a tuple": {"type": "array", "prefixItems": [TEXT, WHOLE], "items": False, "minItems": 2},
    "a tuple and more": {
        "type": "array",
        "prefixItems": [WHOLE],
        "items": {"type": "boolean"},
        "minItems": 1,
        "maxItems": 4,
    },
    "an older tuple": {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "type": "array",
        "items": [WHOLE, TEXT],
        "additionalItems": False,
        "minItems": 2,
    },
    "any of": {"anyOf": [WHOLE, TEXT, {"type": "null"}]},
    "any of objects": {"anyOf": [closed({"a": WHOLE}), closed({"b": TEXT})]},
    "one of kinds": {"oneOf": [WHOLE, TEXT]},
    "one of, told by a tag": {
        "oneOf": [
            closed({"kind": {"const": "cat"}, "lives": WHOLE}),
            closed({"kind": {"const": "dog"}, "name": TEXT}),
        ]
    },
    "all of": {
        "allOf": [
            {"type": "object", "properties": {"a": WHOLE}, "required": ["a"]},
            {"properties": {"b": TEXT}, "required": ["b"], "maxProperties": 2},
        ]
    },
    "all of with limits": {"allOf": [{"type": "integer", "minimum": 3}, {"maximum": 9}]},
    "beside any of": {
        "type": "object",
        "properties": {"id": WHOLE},
        "required": ["id"],
        "anyOf": [
            {"properties": {"x": WHOLE}, "required": ["x"]},
            {"properties": {"y": WHOLE}, "required": ["y"]},
        ],
        "additionalProperties": False,
    }
    | {"additionalProperties": WHOLE, "maxProperties": 3},
    "a reference": {
        **closed({"from": {"$ref": "#/$defs/point"}, "to": {"$ref": "#/$defs/point"}}),
        "$defs": {"point": closed({"x": WHOLE, "y": WHOLE})},
    },
    "an older reference": {"$ref": "#/definitions/n", "definitions": {"n": WHOLE}},
    "a reference with limits": {"$ref": "#/$defs/t", "minLength": 2, "$defs": {"t": TEXT}},
    "a reference to a property": closed({"a": WHOLE, "b": {"$ref": "#/properties/a"}}),
    "an escaped reference": {"$ref": "#/$defs/a~1b", "$defs": {"a/b": WHOLE}},
    "a chain": {
        **closed({"value": WHOLE, "next": {"anyOf": [{"$ref": "#"}, {"type": "null"}]}}),
    },
    "a tree": {
        "$ref": "#/$defs/node",
        "$defs": {"node": closed({"n": WHOLE, "kids": several({"$ref": "#/$defs/node"}, 0, 2)})},
    },
    "an expression": {
        "$ref": "#/$defs/e",
        "$defs": {
            "e": {
                "anyOf": [
                    WHOLE,
                    closed(
                        {"op": {"enum": ["+", "*"]}, "args": several({"$ref": "#/$defs/e"}, 2, 2)}
                    ),
                ]
            }
        },
    },
    "an invoice": closed(
        {
            "number": {"type": "string", "pattern": "^[0-9]{4}$"},
            "date": {"type": "string", "format": "date"},
            "lines": several(
                closed({"text": TEXT, "cents": {"type": "integer", "minimum": 0, "maximum": 9999}}),
                1,
                2,
            ),
            "paid": {"type": "boolean"},
            "note": {"type": ["string", "null"], "maxLength": 5},
        },
        "note",
    ),
    "a verdict": closed(
        {"reasons": several(TEXT, 1, 2), "score": {"type": "number", "minimum": 0, "maximum": 10}}
    ),
    "annotations": {
        "title": "T",
        "description": "d",
        "default": 3,
        "examples": [1],
        "deprecated": True,
        **WHOLE,
    },
    "anything in a box": closed({"kind": {"const": "x"}, "flag": True}) | {"maxProperties": 2},
    "nothing in a box": closed({"a": WHOLE, "b": False}, "b"),
}

REFUSED: dict[str, tuple[Schema, str]] = {
    "distinct items": (several(WHOLE, 0, 3) | {"uniqueItems": True}, '"uniqueItems" at #'),
    "a negation": (closed({"a": {"not": TEXT}}), '"not" at #/properties/a'),
    "a condition": ({"if": TEXT, "then": TEXT}, '"if" at #'),
    "contains": ({"type": "array", "contains": WHOLE}, '"contains" at #'),
    "rules for names": ({"type": "object", "propertyNames": TEXT}, '"propertyNames" at #'),
    "dependent": ({"dependentRequired": {"a": ["b"]}}, '"dependentRequired" at #'),
    "unevaluated": ({"unevaluatedProperties": False}, '"unevaluatedProperties" at #'),
    "an unknown format": (closed({"c": {"format": "color"}}), '"format" at #/properties/c'),
    "control characters": ({"pattern": "^[\\x00-\\x1f]$"}, '"pattern" at #'),
    "a lookahead": (several({"pattern": "^(?!x)"}, 0, 1), '"pattern" at #/items'),
    "a broken pattern": (
        closed({"p": {"type": "string", "pattern": "("}}),
        '"pattern" at #/properties/p',
    ),
    "one of, overlapping": (
        closed({"n": {"oneOf": [WHOLE, {"type": "number"}]}}),
        '"oneOf" at #/properties/n',
    ),
    "patterns that overlap": (
        {"type": "object", "patternProperties": {"a": WHOLE, "b": TEXT}},
        '"patternProperties" at #',
    ),
    "some of the names": (
        closed({"a": WHOLE, "b": WHOLE, "c": WHOLE}, "a", "b", "c") | {"maxProperties": 2},
        '"maxProperties" at #',
    ),
    "two names of one's own": ({"type": "object", "minProperties": 2}, '"minProperties" at #'),
    "elsewhere": ({"$ref": "https://example.org/s.json"}, '"$ref" at #'),
}
