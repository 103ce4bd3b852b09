"""Exports as somebody may forge them: sound ones, spoilt in a few places.

In: hypothesis.  Out: bytes to be brought in.  Knows the format by an example alone.
"""

from __future__ import annotations

import copy
import json
from typing import Any

from hypothesis import strategies as st

SOUND: dict[str, Any] = {
    "format": "puna.conversation/2",
    "title": "The lease",
    "model": "tiny",
    "created_at": "2026-03-02T09:00:00Z",
    "leaf": "b",
    "messages": [
        {
            "id": "a",
            "role": "user",
            "text": "When is the rent due?",
            "created_at": "2026-03-02T09:00:01Z",
            "files": ["fil_1"],
        },
        {
            "id": "b",
            "parent": "a",
            "role": "assistant",
            "text": "On Mondays [1].",
            "outcome": "length",
            "model": "tiny",
            "created_at": "2026-03-02T09:00:02Z",
            "steps": [
                {
                    "text": "Let me see.",
                    "calls": [
                        {
                            "id": "call_1",
                            "name": "search_files",
                            "label": "Search files",
                            "arguments": '{"question": "rent"}',
                            "result": "The rent is due on Mondays.",
                            "outcome": "done",
                            "took_s": 0.25,
                        }
                    ],
                },
                {"text": "On Mondays [1].", "calls": []},
            ],
            "sources": [
                {
                    "number": 1,
                    "file_id": "fil_1",
                    "name": "lease.pdf",
                    "ordinal": 1,
                    "place": {"first_line": 1, "last_line": 2, "page": 1},
                    "where": "page 1, lines 1-2",
                    "text": "The rent is due on Mondays.",
                    "quote": "The rent is due on Mondays.",
                    "quote_line": 1,
                    "cited": True,
                }
            ],
            "count": {
                "prompt_tokens": 50,
                "cached_tokens": 8,
                "completion_tokens": 12,
                "prefill_s": 0.1,
                "decode_s": 0.2,
                "first_word_s": 0.1,
                "took_s": 0.4,
            },
            "error": "",
        },
        {"id": "c", "parent": "a", "role": "assistant", "text": "I do not know."},
        {"id": "d", "parent": "b", "role": "user", "text": "Thank you."},
    ],
}
Path = tuple[str | int, ...]

ODD: list[Any] = [
    None, True, False, 0, -1, 1, 999, 1000, 2**31, 2**63, -(2**63), 10**400, 0.5, 1e-320, 1e308,
    float("nan"), float("inf"), "", " ", "x", "\0", "a\0b", "\ud800", "\udfff x", "x" * 70,
    "x" * 700, "\u202e", "a", "b", "c", "d", "none", "[1] [2] [999] [1000]", "```", "<b>",
    "../../x", "0001-01-01T00:00:00+23:59", "9999-12-31T23:59:59-23:59", "2026-03-02", 1e15, [], {},
    [[]], [None], [{}], {"": None}, {"x": {"y": [1]}}, ["a", "b"], "running", "assistant", "user",
    "complete", "broken", "puna.conversation/1", "/calc 1/0", "/search x", "data:text/html,x",
]  # fmt: skip


def exports() -> st.SearchStrategy[bytes]:
    """Sound exports, each spoilt in one to three places; now and then several in one file."""
    return st.lists(_talk(), min_size=1, max_size=2).map(_written)


@st.composite
def _talk(draw: st.DrawFn) -> Any:
    document: Any = copy.deepcopy(SOUND)
    for _ in range(draw(st.sampled_from([1, 1, 1, 2, 3]))):
        places = list(_places(document))
        place = places[draw(st.integers(0, len(places) - 1))]
        value = draw(
            st.one_of(st.sampled_from(ODD), st.text(max_size=20), st.floats(), st.integers())
        )
        spoil = draw(st.sampled_from(["replace", "replace", "replace", "drop", "add", "twice"]))
        _spoil(document, place, spoil, copy.deepcopy(value))
    return document


def _places(value: Any, path: Path = ()) -> Any:
    """Yield the way to every part but the whole."""
    parts = value.items() if isinstance(value, dict) else enumerate(value)
    for name, part in parts:
        yield (*path, name)
        if isinstance(part, dict | list):
            yield from _places(part, (*path, name))


def _spoil(document: Any, place: Path, how: str, value: Any) -> None:
    parent = document
    for name in place[:-1]:
        parent = parent[name]
    last: Any = place[-1]
    if how == "drop" and len(document) > 1:
        del parent[last]
    elif how == "add" and isinstance(parent, dict):
        parent[str(value)[:20]] = value
    elif how == "twice" and isinstance(parent, list):
        parent.append(copy.deepcopy(parent[last]))
    else:
        parent[last] = value


def _written(talks: list[Any]) -> bytes:
    """JSON as forgers write it: with NaN, and halves of characters as escapes."""
    return json.dumps(talks[0] if len(talks) == 1 else talks).encode()
