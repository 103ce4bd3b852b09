"""The owner's deeds that the console has, by command: tool servers, and the audit log."""

from __future__ import annotations

import csv
import io
import json
import shlex
import sys
from pathlib import Path

from tests.cli.conftest import Puna
from tests.services.assistant.tools import small_server

SERVER = shlex.join([sys.executable, str(Path(small_server.__file__))])


def test_a_tool_server_is_added_asked_allowed_and_removed(puna_within: Puna) -> None:
    added = json.loads(puna_within("tools", "add", "small", "--command", SERVER, "--json").stdout)
    assert (added["state"], added["allowed"]) == ("on", [])
    offered = json.loads(puna_within("tools", "offers", "small", "--json").stdout)
    names = [row["tool"] for row in offered]
    assert len(names) > 1
    allowed = json.loads(puna_within("tools", "allow", "small", names[0], "--json").stdout)
    assert allowed["allowed"] == names[:1]
    again = json.loads(puna_within("tools", "offers", "small", "--json").stdout)
    assert [row["allowed"] for row in again] == ["yes", *["no"] * (len(names) - 1)]
    wrong = puna_within("tools", "allow", "small", "nothing_such")
    assert (wrong.returncode, "does not offer nothing_such" in wrong.stderr) == (2, True)
    assert puna_within("tools", "disable", "small").stdout == "small: off\n"
    [row] = json.loads(puna_within("tools", "--json").stdout)
    assert (row["server"], row["state"], row["allowed"]) == ("small", "off", names[:1])
    assert puna_within("tools", "enable", "small").stdout == "small: on\n"
    assert json.loads(puna_within("tools", "allow", "small", "--json").stdout)["allowed"] == []
    assert puna_within("tools", "remove", "small").returncode == 0
    assert json.loads(puna_within("tools", "--json").stdout) == []
    gone = puna_within("tools", "remove", "small")
    assert (gone.returncode, "no tool server 'small'" in gone.stderr) == (1, True)


def test_a_server_that_cannot_be_asked_is_said(puna_within: Puna) -> None:
    assert puna_within("tools", "add", "away", "--address", "http://127.0.0.1:1/mcp").stdout
    asked = puna_within("tools", "offers", "away")
    assert asked.returncode == 1
    assert asked.stderr.count("\n") == 1
    neither = puna_within("tools", "add", "bare")
    assert (neither.returncode, "either a command or an address" in neither.stderr) == (1, True)


def test_the_audit_log_is_read_by_command(puna_within: Puna) -> None:
    puna_within("tenants", "create", "=acme")
    puna_within("plans", "create", "pro", "--rpm", "5")
    [plan, tenant] = json.loads(puna_within("audit", "--limit", "2", "--json").stdout)
    assert (plan["what"], plan["whom"], plan["who"]) == ("plan.create", "pro", "cli")
    assert tenant["what"] == "tenant.create"
    rows = list(csv.DictReader(io.StringIO(puna_within("audit", "--csv").stdout)))
    assert [row["action"] for row in rows][:2] == ["plan.create", "tenant.create"]
    assert not any(cell.startswith("=") for row in rows for cell in row.values())
    assert "plan.create" in puna_within("audit").stdout
