"""A real MCP server over stdio and over HTTP: listed, called, too slow, dead, started anew."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from puna.errors import ToolError
from puna.services.assistant.tools.connection import Connection
from puna.services.assistant.tools.servers import ToolServer
from tests.services.assistant.story import ran
from tests.services.assistant.tools.over_http import served_over_http

SMALL = str(Path(__file__).with_name("small_server.py"))
STDIO = ToolServer("small", command=(sys.executable, SMALL))


@pytest.fixture(scope="module")
def http() -> Iterator[ToolServer]:
    with served_over_http() as url:
        yield ToolServer("small", url=url)


@pytest.fixture(params=["stdio", "http"])
def server(request: pytest.FixtureRequest) -> ToolServer:
    if request.param == "stdio":
        return STDIO
    found: ToolServer = request.getfixturevalue("http")
    return found


def test_tools_are_listed_and_called(server: ToolServer) -> None:
    async def story() -> None:
        connection = Connection(server)
        offered = {tool.name: tool for tool in await connection.definitions()}
        assert offered["add"].description == "Add two numbers."
        assert offered["add"].parameters["properties"]["left"]["type"] == "integer"
        assert await connection.call("add", {"left": 2, "right": 3}) == "5"
        with pytest.raises(ToolError, match="no luck today"):
            await connection.call("fail", {})
        with pytest.raises(ToolError):
            await connection.call("nothing", {})
        assert await connection.call("add", {"left": 1, "right": 1}) == "2"
        await connection.close()

    ran(story)


def test_a_slow_tool_is_left_and_the_next_call_works(server: ToolServer) -> None:
    async def story() -> None:
        connection = Connection(server, call_s=1.0)
        await connection.definitions()
        begun = time.monotonic()
        with pytest.raises(ToolError, match="more than 1 s"):
            await connection.call("sleep", {"seconds": 60})
        assert time.monotonic() - begun < 8
        assert await Connection(server).call("add", {"left": 2, "right": 3}) == "5"
        await connection.close()

    ran(story)


def test_a_dead_server_is_told_and_started_anew() -> None:
    async def story() -> None:
        connection = Connection(STDIO, call_s=10)
        with pytest.raises(ToolError, match="small"):
            await connection.call("die", {})
        assert await connection.call("add", {"left": 2, "right": 3}) == "5"
        await connection.close()

    ran(story)


def test_a_server_sees_nothing_of_punas_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PUNA_SECRET", "hush")

    async def story() -> str:
        connection = Connection(STDIO)
        names = await connection.call("environment", {})
        await connection.close()
        return names

    names = ran(story).split()
    assert "PATH" in names
    assert "PUNA_SECRET" not in names


@pytest.mark.parametrize(
    "server",
    [
        ToolServer("none", command=("/no/such/program",)),
        ToolServer("none", command=(sys.executable, "-c", "pass")),
        ToolServer("none", url="http://127.0.0.1:9/mcp"),
        ToolServer("none", url="http://127.0.0.1:9/mcp", token_file="/no/such/file"),
    ],
)
def test_what_cannot_be_reached_says_so(server: ToolServer) -> None:
    async def story() -> None:
        with pytest.raises(ToolError, match="'none'"):
            await Connection(server, start_s=10).definitions()

    ran(story)


def test_a_server_that_never_answers_is_given_up() -> None:
    silent = ToolServer("mute", command=(sys.executable, "-c", "import time; time.sleep(600)"))

    async def story() -> None:
        with pytest.raises(ToolError, match="'mute' did not start in 1 s"):
            await Connection(silent, start_s=1).definitions()

    begun = time.monotonic()
    ran(story)
    assert time.monotonic() - begun < 10
