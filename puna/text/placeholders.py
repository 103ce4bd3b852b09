"""Stand-ins for what people wrote, while a foreign template is running.

In: a string.  Out: a placeholder that nobody can guess, and, once a template
has rendered, spans in which the strings are back as content.  Does not know
Jinja, nor roles.
"""

from __future__ import annotations

import json
import re
import secrets
from collections.abc import Iterator

from puna.text.span import Span

_PRIVATE_USE = 0xE000  # of the Basic Multilingual Plane; no case, no spaces, never trimmed
_INNOCENT = re.compile(r"[\w .,:;/#'()-]*")  # no shape of any control token


class Placeholders:
    """One render's placeholders.

    A placeholder is a random mark, a number and an end mark.  The child's
    `tojson` writes a "j" after the mark, which says that the string stands
    within JSON quotes and comes back escaped.
    """

    def __init__(self) -> None:
        random = secrets.token_bytes(16)
        self.mark = "".join(chr(_PRIVATE_USE + 1 + byte) for byte in random)
        self._end = chr(_PRIVATE_USE)
        self._texts: list[str] = []

    def stand_in(self, text: str) -> str:
        """Hide a text; the space around it stays, so that a template may trim it."""
        core = text.strip()
        if not core:
            return text
        start = text.index(core)
        return text[:start] + self._hide(core) + text[start + len(core) :]

    def stand_in_where_needed(self, text: str) -> str:
        """Hide a text that might hold a part of a control token; show a plain word."""
        return text if _INNOCENT.fullmatch(text) else self.stand_in(text)

    def hide_each(self, pattern: re.Pattern[str], text: str) -> str:
        """Hide what the pattern finds and show the rest."""
        return pattern.sub(lambda found: self._hide(found[0]), text)

    def spans(self, rendered: str) -> list[Span] | None:
        """Put the texts back; None if the template has cut a placeholder to pieces."""
        pattern = re.compile(f"{self.mark}(j?)([0-9]+){self._end}")
        if self._is_damaged(pattern.sub("", rendered)):
            return None
        return list(self._restored(pattern.split(rendered)))

    def _hide(self, text: str) -> str:
        self._texts.append(text)
        return f"{self.mark}{len(self._texts) - 1}{self._end}"

    def _is_damaged(self, rest: str) -> bool:
        return any(character in rest for character in self.mark)

    def _restored(self, parts: list[str]) -> Iterator[Span]:
        yield Span(parts[0], scaffold=True)
        for quoted, number, after in zip(parts[1::3], parts[2::3], parts[3::3], strict=True):
            text = self._texts[int(number)]
            yield Span(_in_quotes(text) if quoted else text, scaffold=False)
            yield Span(after, scaffold=True)


def _in_quotes(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)[1:-1]
