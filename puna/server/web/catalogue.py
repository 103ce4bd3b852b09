"""Which models a person may choose, with what matters for the choice: context and speed.

Names in, choices out; the speed is that of the last answers on this machine.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from puna.server.web import words

LATEST = 0.3  # how much the last answer counts in a model's speed


@dataclass(frozen=True)
class Known:
    """A model that can answer; what is not known yet is None."""

    name: str
    context_tokens: int | None = None
    size_bytes: int | None = None


@dataclass(frozen=True)
class Choice:
    """A model as the picker shows it: `short` in the head, `words` in the list."""

    name: str
    short: str
    words: str


class Paces:
    """Tokens a second of each model, as answers showed it."""

    def __init__(self) -> None:
        self._paces: dict[str, float] = {}

    def note(self, model: str, tokens_a_second: float) -> None:
        """Count one more answer."""
        before = self._paces.get(model, tokens_a_second)
        self._paces[model] = before + LATEST * (tokens_a_second - before)

    def get(self, model: str) -> float | None:
        """The speed, once an answer was given."""
        return self._paces.get(model)


def choices(models: Iterable[Known], paces: Paces) -> list[Choice]:
    """The models as the picker shows them."""
    return [_choice(model, paces.get(model.name)) for model in models]


def _choice(model: Known, pace: float | None) -> Choice:
    context = f"{words.tokens(model.context_tokens)} context" if model.context_tokens else ""
    speed = f"{pace:.0f} tokens a second here" if pace else "speed not measured yet"
    size = words.size(model.size_bytes) if model.size_bytes else ""
    short = " · ".join(filter(None, [context, f"{pace:.0f}/s" if pace else ""]))
    return Choice(model.name, short, " · ".join(filter(None, [size, context, speed])))
