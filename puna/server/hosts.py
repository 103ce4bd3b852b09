"""The names that this server answers to: a foreign one is a page that rebound its own to us.

In: a Host header.  Out: whether it is ours.
"""

from __future__ import annotations

from collections.abc import Collection
from urllib.parse import urlsplit


class Hosts:
    """Some names, without regard to case; "*" is any."""

    def __init__(self, names: Collection[str]) -> None:
        self._names = frozenset(name.lower() for name in names)

    def has(self, header: str) -> bool:
        """Whether a Host header, with or without a port, names one of them."""
        try:
            name = urlsplit(f"//{header}").hostname or ""
        except ValueError:
            return False
        return "*" in self._names or name in self._names
