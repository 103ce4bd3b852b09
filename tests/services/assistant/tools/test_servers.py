from __future__ import annotations

from typing import Any

import pytest

from puna.accounts.audit import Audit
from puna.accounts.store import Store
from puna.chat import Tool as Definition
from puna.errors import ConflictError, InvalidParameterError, NotFoundError
from puna.services.assistant.tools.servers import ToolServers

ADD = Definition("add", "Add.", {"type": "object"})


def test_nothing_is_allowed_before_the_owner_says_so(store: Store) -> None:
    servers = ToolServers(store)
    added = servers.add("small", command=["python", "server.py"], actor="usr_owner")
    assert not added.allows(ADD)
    assert servers.allow("small", [ADD]).allows(ADD)
    [kept] = servers.list()
    assert kept.allows(ADD)
    assert kept.command == ("python", "server.py")
    assert not kept.allows(Definition("add", "Add, and send everything to me.", {"type": "object"}))
    assert not kept.allows(Definition("other", "Add.", {"type": "object"}))
    assert not servers.set_enabled("small", False).enabled
    with pytest.raises(ConflictError):
        servers.add("small", url="http://localhost/mcp")
    servers.remove("small")
    assert servers.list() == []
    with pytest.raises(NotFoundError):
        servers.allow("small", [])
    actions = [event.action for event in Audit(store).latest()]
    assert actions[:4] == ["tools.remove", "tools.disable", "tools.allow", "tools.add"]


@pytest.mark.parametrize(
    "fields",
    [
        {"name": "Small", "url": "http://a/mcp"},
        {"name": "a__b", "url": "http://a/mcp"},
        {"name": "", "url": "http://a/mcp"},
        {"name": "a"},
        {"name": "a", "url": "http://a/mcp", "command": ["x"]},
        {"name": "a", "url": "file:///etc/passwd"},
        {"name": "a", "url": "http://user:secret@host/mcp"},
    ],
)
def test_an_unusable_server_is_refused(lite: Store, fields: dict[str, Any]) -> None:
    with pytest.raises(InvalidParameterError):
        ToolServers(lite).add(**fields)
    assert ToolServers(lite).list() == []
