"""Tool servers that the owner added, and which of their tools are allowed.

In: a name, a command or an address.  Out: servers; for each the tools that the owner ticked.
Does not speak the protocol: connection.py does.  A tool that changed what it says about itself
after it was allowed is withheld until the owner looks again.
"""

from __future__ import annotations

import hashlib
import json
import re
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit

from sqlalchemy import JSON, Boolean, String, select
from sqlalchemy.orm import Mapped, Session, mapped_column

from puna.accounts import audit
from puna.accounts.schema import Base, Clock, Moment, utc_now
from puna.accounts.store import Store
from puna.chat import Tool as Definition
from puna.errors import ConflictError, InvalidParameterError, NotFoundError

_NAME = re.compile(r"[a-z][a-z0-9-]{0,29}")


@dataclass(frozen=True)
class ToolServer:
    """A server on this machine (`command`) or behind an address (`url`).

    `token_file` names a file whose content is sent as the bearer token; `allowed` are tools with
    the digest of the definition that the owner saw.
    """

    name: str
    command: tuple[str, ...] = ()
    url: str = ""
    token_file: str = ""
    allowed: Mapping[str, str] = ()  # type: ignore[assignment]
    enabled: bool = True

    @property
    def reached(self) -> str:
        """How it is reached: its command as one types it, or its address."""
        return shlex.join(self.command) if self.command else self.url

    def allows(self, definition: Definition) -> bool:
        """Say whether the owner allowed the tool as it describes itself now."""
        return self.allowed.get(definition.name) == digest(definition)


class ToolServerRow(Base):
    """One server."""

    __tablename__ = "assistant_tool_servers"

    name: Mapped[str] = mapped_column(String(30), primary_key=True)
    command: Mapped[Any] = mapped_column(JSON)
    url: Mapped[str] = mapped_column(String(500))
    token_file: Mapped[str] = mapped_column(String(500))
    allowed: Mapped[Any] = mapped_column(JSON)
    enabled: Mapped[bool] = mapped_column(Boolean)
    created_at: Mapped[datetime] = mapped_column(Moment)

    def server(self) -> ToolServer:
        """Return it as plain data."""
        return ToolServer(
            self.name,
            tuple(self.command or ()),
            self.url,
            self.token_file,
            dict(self.allowed),
            self.enabled,
        )


class ToolServers:
    """The servers of this installation; who may call this is the owner, as the routes check."""

    def __init__(self, store: Store, clock: Clock = utc_now) -> None:
        self._store, self._clock = store, clock

    def add(
        self,
        name: str,
        *,
        command: Sequence[str] = (),
        url: str = "",
        token_file: str = "",
        actor: str = "system",
    ) -> ToolServer:
        """Add a server; none of its tools is allowed yet."""
        _check(name, command, url)
        now = self._clock()
        row = ToolServerRow(
            name=name,
            command=list(command),
            url=url,
            token_file=token_file,
            allowed={},
            enabled=True,
            created_at=now,
        )
        with self._store.write() as session:
            if session.get(ToolServerRow, name) is not None:
                raise ConflictError(f"there is a tool server {name!r} already")
            session.add(row)
            audit.note(session, now, actor, "tools.add", name, command=list(command), url=url)
        return row.server()

    def list(self) -> list[ToolServer]:
        """Return all servers by name."""
        with self._store.read() as session:
            rows = session.scalars(select(ToolServerRow).order_by(ToolServerRow.name))
            return [row.server() for row in rows]

    def allow(
        self, name: str, definitions: Sequence[Definition], *, actor: str = "system"
    ) -> ToolServer:
        """Allow these tools as they describe themselves now, and no others."""
        with self._store.write() as session:
            row = _find(session, name)
            row.allowed = {definition.name: digest(definition) for definition in definitions}
            names = sorted(row.allowed)
            audit.note(session, self._clock(), actor, "tools.allow", name, tools=names)
        return row.server()

    def set_enabled(self, name: str, enabled: bool, *, actor: str = "system") -> ToolServer:
        """Use a server, or leave it alone."""
        with self._store.write() as session:
            row = _find(session, name)
            row.enabled = enabled
            action = "tools.enable" if enabled else "tools.disable"
            audit.note(session, self._clock(), actor, action, name)
        return row.server()

    def remove(self, name: str, *, actor: str = "system") -> None:
        """Forget a server."""
        with self._store.write() as session:
            session.delete(_find(session, name))
            audit.note(session, self._clock(), actor, "tools.remove", name)


def digest(definition: Definition) -> str:
    """Return what changes when a tool says something else about itself."""
    said = [definition.name, definition.description, dict(definition.parameters)]
    return hashlib.sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()


def _find(session: Session, name: str) -> ToolServerRow:
    row = session.get(ToolServerRow, name)
    if row is None:
        raise NotFoundError(f"there is no tool server {name!r}")
    return row


def _check(name: str, command: Sequence[str], url: str) -> None:
    if not _NAME.fullmatch(name):
        raise InvalidParameterError(
            f"{name!r} cannot name a tool server: use small letters, digits and -, at most 30"
        )
    if bool(command) == bool(url):
        raise InvalidParameterError("a tool server has either a command or an address")
    parts = urlsplit(url)
    if url and (parts.scheme not in ("http", "https") or not parts.hostname or "@" in parts.netloc):
        raise InvalidParameterError(
            f"{url!r} is no address of a tool server: write https://host/path, no password in it"
        )
