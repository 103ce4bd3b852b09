"""Tool servers over HTTP that mean harm: endless, packed, slow, redirecting; none gets far."""

from __future__ import annotations

import resource
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from puna.errors import ToolError
from puna.services.assistant.tools.connection import (
    LONGEST_DESCRIPTION,
    MOST_TOOLS,
    Connection,
)
from puna.services.assistant.tools.servers import ToolServer
from tests.services.assistant.story import ran
from tests.services.assistant.tools.hostile_server import Hostile, hostile

MOST_GROWTH_BYTES = 150 * 2**20


@pytest.fixture(scope="module")
def server() -> Iterator[Hostile]:
    with hostile() as running:
        yield running


def offered(server: ToolServer, start_s: float = 20.0) -> list[tuple[str, str]]:
    async def story() -> list[tuple[str, str]]:
        connection = Connection(server, start_s=start_s)
        try:
            return [(one.name, one.description) for one in await connection.definitions()]
        finally:
            await connection.close()

    return ran(story)


def peak_bytes() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def at(server: Hostile, trick: str, token_file: str = "") -> ToolServer:
    return ToolServer("hostile", url=f"{server.address}/{trick}", token_file=token_file)


@pytest.mark.parametrize(
    ("trick", "words"),
    [
        ("endless", "longer than 8 MiB"),
        ("events", "ended without a response"),
        ("one-event", "SSE"),
        ("packed", "parse"),
    ],
)
def test_an_answer_that_does_not_end_is_cut(server: Hostile, trick: str, words: str) -> None:
    before = peak_bytes()
    begun = time.monotonic()
    with pytest.raises(ToolError, match=words):
        offered(at(server, trick))
    assert time.monotonic() - begun < 15
    assert peak_bytes() - before < MOST_GROWTH_BYTES


def test_a_slow_answer_is_left(server: Hostile) -> None:
    begun = time.monotonic()
    with pytest.raises(ToolError, match="more than 2 s"):
        offered(at(server, "slow"), start_s=2)
    assert time.monotonic() - begun < 8


def test_an_endless_list_is_read_as_far_as_anybody_would(server: Hostile) -> None:
    tools = offered(at(server, "many"))
    assert 100 < len(tools) <= MOST_TOOLS
    assert len(set(tools)) == len(tools)
    assert offered(at(server, "empty")) == []


def test_a_tool_that_says_too_much_is_cut_or_left_out(server: Hostile) -> None:
    assert offered(at(server, "wide")) == [("look", "y" * LONGEST_DESCRIPTION)]


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_to_elsewhere_is_refused_and_gets_no_token(
    server: Hostile, tmp_path: Path, status: int
) -> None:
    token = tmp_path / "token"
    token.write_text("hush\n")
    with hostile() as elsewhere:
        server.elsewhere = elsewhere.address
        server.seen.clear()
        with pytest.raises(ToolError, match="hostile"):
            offered(at(server, f"redirect-{status}", str(token)))
        assert elsewhere.seen == []
        assert {authorization for _, _, authorization in server.seen} == {"Bearer hush"}
