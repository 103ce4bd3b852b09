"""Which server a chat goes through, and with which key.

In: settings.  Out: an address and a key, asked anew before each request.  Speaks no HTTP.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from puna.cli.announcement import Announcement, find_server
from puna.config import Settings
from puna.errors import RemoteError, SettingError

Now = Callable[[], tuple[str, str]]


@dataclass(frozen=True)
class Access:
    """`now` returns the server's URL and the key, or says that there is no server any more."""

    now: Now
    near: bool  # on this machine, found by its file


def find_access(settings: Settings, url: str | None) -> Access | None:
    """Return how to reach the server that was named, or this machine's; None where none runs."""
    found = find_server(settings.home)
    named = url or settings.server
    if named is not None:
        return _named(settings, _checked(named), found)
    return None if found is None else _announced(settings.home)


def _named(settings: Settings, url: str, found: Announcement | None) -> Access:
    if settings.api_key is not None:
        key = settings.api_key
        return Access(lambda: (url, key), near=False)
    if found is not None and url.replace("//localhost:", "//127.0.0.1:") == found.url:
        return _announced(settings.home)
    raise SettingError(
        f"{url} wants a key: `puna keys create NAME --user ADDRESS` makes one on its machine; "
        "set PUNA_API_KEY to it"
    )


def _announced(home: Path) -> Access:
    """A server that starts again has another key, and perhaps another address."""

    def now() -> tuple[str, str]:
        found = find_server(home)
        if found is None:
            raise RemoteError("the server has ended; start it, and this chat goes on")
        return found.url, found.key

    return Access(now, near=True)


def _checked(url: str) -> str:
    """Refuse what is no address, or would show a secret in a list of processes."""
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.username:
        raise SettingError(f"{url!r} is no server; give it as http://HOST:PORT")
    return f"{parts.scheme}://{parts.netloc}"
