"""The page of tools: servers that the owner adds, and which of their tools the assistant may use.

A tool is allowed as the owner saw it: the page sends back the digest of what it showed.
"""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from starlette.responses import JSONResponse, Response

from puna.chat import Tool as Definition
from puna.server.web.console.offers import Offer
from puna.server.web.reading import Form
from puna.server.web.refused import RefusedError
from puna.server.web.visit import Visit
from puna.services.assistant.citations import visible
from puna.services.assistant.tools.servers import ToolServer, digest

Tag = Literal["on", "off", "bad"]


class NewServer(Form):
    """A server as the page writes it: a command line or an address."""

    name: str
    command: str = ""
    address: str = ""
    token_file: str = ""


class Ticked(Form):
    """The digests of the tools that are ticked."""

    tools: tuple[str, ...] = ()


class ServerChange(Form):
    """Used, or left alone."""

    state: Literal["on", "off"]


@dataclass(frozen=True)
class ToolView:
    """A tool with its tick; `changed` where it says something else than when it was allowed."""

    name: str
    words: str
    digest: str
    allowed: bool
    changed: bool


@dataclass(frozen=True)
class ServerView:
    """A server as the page shows it."""

    name: str
    reached: str
    enabled: bool
    starting: bool
    tag: Tag
    state: str
    tools: Sequence[ToolView]


async def tools_page(visit: Visit) -> Response:
    """Show every server with its tools, and Puna's own."""
    assistant = visit.house.assistant
    servers = await visit.do(assistant.servers.list)
    offers = await visit.house.offers.of([server.name for server in servers if server.enabled])
    return await visit.page(
        "console/tools.html",
        here="console",
        tab="/tools",
        servers=[server_view(server, offers.get(server.name, Offer())) for server in servers],
        own=[(tool.label, tool.definition.description) for tool in assistant.toolbox.own],
    )


async def add_server(visit: Visit) -> Response:
    """Keep a new server; nothing of it is allowed yet."""
    new = await visit.form(NewServer)
    await visit.do(
        visit.house.assistant.servers.add,
        new.name,
        command=words_of(new.command),
        url=new.address,
        token_file=new.token_file,
        actor=visit.actor,
    )
    return JSONResponse({}, 201)


async def allow_tools(visit: Visit) -> Response:
    """Allow what was ticked, if it still is what the owner saw."""
    ticked, name = await visit.form(Ticked), visit.path("server")
    offer = (await visit.house.offers.of([name]))[name]
    allowed = [tool for tool in offer.tools if digest(tool) in ticked.tools]
    if len(allowed) != len(set(ticked.tools)):
        raise RefusedError(409, offer.fault or "The server's tools have changed: look again.")
    await visit.do(visit.house.assistant.servers.allow, name, allowed, actor=visit.actor)
    return JSONResponse({})


async def change_server(visit: Visit) -> Response:
    """Use a server, or leave it alone and end its process."""
    change, name = await visit.form(ServerChange), visit.path("server")
    on = change.state == "on"
    await visit.do(visit.house.assistant.servers.set_enabled, name, on, actor=visit.actor)
    if not on:
        await visit.house.offers.forget(name)
    return JSONResponse({})


async def remove_server(visit: Visit) -> Response:
    """Forget a server and end its process."""
    name = visit.path("server")
    await visit.do(visit.house.assistant.servers.remove, name, actor=visit.actor)
    await visit.house.offers.forget(name)
    return JSONResponse({})


def words_of(command: str) -> list[str]:
    """Split a command line as a shell does; no shell runs it."""
    try:
        return shlex.split(command)
    except ValueError as error:
        raise RefusedError(400, f"The command cannot be read: {error}.") from error


def server_view(server: ToolServer, offer: Offer) -> ServerView:
    """Draw a server up with what it offers now."""
    tag, state = _state(server, offer)
    tools = [tool_view(server, tool) for tool in offer.tools]
    return ServerView(
        server.name, server.reached, server.enabled, offer.starting, tag, state, tools
    )


def tool_view(server: ToolServer, tool: Definition) -> ToolView:
    """Draw a tool up with its tick."""
    allowed = server.allows(tool)
    changed = not allowed and tool.name in server.allowed
    return ToolView(tool.name, visible(tool.description), digest(tool), allowed, changed)


def _state(server: ToolServer, offer: Offer) -> tuple[Tag, str]:
    if not server.enabled:
        return "off", "switched off"
    if offer.starting:
        return "off", "still starting"
    if offer.fault:
        return "bad", visible(offer.fault)
    return "on", "answers"
