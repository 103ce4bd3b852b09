"""A running answer as the page's script hears it, written by hand: lines of JSON, one an event."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

Event = dict[str, Any]
TALK = {"id": "con_1", "title": "A talk"}


def lines(events: Sequence[Event]) -> str:
    """The body of such an answer."""
    return "".join(json.dumps(event) + "\n" for event in events)


def told(tokens: Sequence[str]) -> str:
    """An answer that is said token by token, and then breaks off."""
    begin = {"type": "begin", "turn": "t", "conversation": TALK}
    said = [{"type": "text", "text": token} for token in tokens]
    return lines([begin, *said, {"type": "error", "error": {"message": "It broke off."}}])
