"""What stands around every answer: its id, its time, its model.

In: the route's kind and the model.  Out: the outer fields of OpenAI's objects.
"""

from __future__ import annotations

import secrets
import time
from dataclasses import dataclass, field
from hashlib import sha256
from importlib.metadata import version
from typing import Any

from puna.llm import LLM


@dataclass(frozen=True)
class Envelope:
    """The same for all chunks of one answer."""

    object: str
    id: str
    model: str
    fingerprint: str
    created: int = field(default_factory=lambda: int(time.time()))

    @classmethod
    def new(cls, object_: str, prefix: str, model: str, llm: LLM) -> Envelope:
        """Begin an answer."""
        return cls(object_, f"{prefix}-{secrets.token_hex(12)}", model, fingerprint(llm))

    def around(self, choices: list[dict[str, Any]], **more: Any) -> dict[str, Any]:
        """Return the whole object."""
        return {
            "id": self.id,
            "object": self.object,
            "created": self.created,
            "model": self.model,
            "system_fingerprint": self.fingerprint,
            "choices": choices,
            **more,
        }


def fingerprint(llm: LLM) -> str:
    """Name what decides an answer beside the request: the model's file and how it is opened."""
    stat = llm.path.stat()
    told = (
        f"{version('puna')} {llm.path.name} {stat.st_size} {stat.st_mtime_ns} {llm.context_tokens}"
    )
    return f"fp_{sha256(told.encode()).hexdigest()[:10]}"
