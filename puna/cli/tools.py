"""`puna tools`: servers of tools for the assistant, and which of their tools it may use."""

from __future__ import annotations

import asyncio
import shlex
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, Any

import typer

from puna.cli import options
from puna.cli.accounts import ACTOR, open_store, show_facts, show_rows

if TYPE_CHECKING:
    from puna.chat import Tool
    from puna.services.assistant.tools.servers import ToolServer, ToolServers

Name = Annotated[str, typer.Argument(metavar="SERVER", help="The tool server's name.")]

tools = typer.Typer(
    help="List and change the assistant's tool servers.", invoke_without_command=True
)


@tools.callback(invoke_without_command=True)
def list_servers(context: typer.Context, as_json: options.Json = False) -> None:
    """List the tool servers (Model Context Protocol); change them with the commands below."""
    if context.invoked_subcommand is not None:
        return
    with _servers(context) as servers:
        rows = [_facts(server) for server in servers.list()]
    show_rows(rows, as_json, none="no tool servers")


@tools.command(epilog="Example: puna tools add notes --command 'python notes_server.py'")
def add(
    context: typer.Context,
    *,
    name: Name,
    command: Annotated[
        str,
        typer.Option("--command", metavar="COMMAND", help="What runs it, with Puna's rights."),
    ] = "",
    address: Annotated[str, typer.Option("--address", metavar="URL", help="Where it is.")] = "",
    token_file: Annotated[
        str, typer.Option("--token-file", metavar="FILE", help="Holds the token that it wants.")
    ] = "",
    as_json: options.Json = False,
) -> None:
    """Add a server, by its command or its address; `allow` some of its tools then."""
    with _servers(context) as servers:
        server = servers.add(
            name, command=_words(command), url=address, token_file=token_file, actor=ACTOR
        )
    show_facts(_facts(server), as_json)


@tools.command(epilog="Example: puna tools offers notes")
def offers(context: typer.Context, name: Name, as_json: options.Json = False) -> None:
    """Ask a server what it offers now."""
    with _servers(context) as servers:
        offered = _offered(servers, name)
        [server] = [server for server in servers.list() if server.name == name]
    rows = [
        {
            "tool": tool.name,
            "allowed": "yes" if server.allows(tool) else "no",
            "says": tool.description,
        }
        for tool in offered
    ]
    show_rows(rows, as_json, none="it offers no tools")


@tools.command(epilog="Example: puna tools allow notes find_note add_note")
def allow(
    context: typer.Context,
    name: Name,
    tool: Annotated[
        list[str] | None, typer.Argument(metavar="[TOOL]...", help="None: it may use none.")
    ] = None,
    as_json: options.Json = False,
) -> None:
    """Let the assistant use these tools, as they describe themselves now, and no others."""
    wanted = tool or []
    with _servers(context) as servers:
        offered = _offered(servers, name) if wanted else []
        if unknown := sorted(set(wanted) - {one.name for one in offered}):
            names = ", ".join(one.name for one in offered) or "nothing"
            raise typer.BadParameter(
                f"{name} does not offer {', '.join(unknown)}, but {names}", param_hint="TOOL"
            )
        chosen = [one for one in offered if one.name in wanted]
        server = servers.allow(name, chosen, actor=ACTOR)
    show_facts(_facts(server), as_json)


@tools.command()
def enable(context: typer.Context, name: Name) -> None:
    """Use a server again."""
    _switch(context, name, on=True)


@tools.command()
def disable(context: typer.Context, name: Name) -> None:
    """Leave a server alone; what was allowed stays so."""
    _switch(context, name, on=False)


@tools.command()
def remove(context: typer.Context, name: Name) -> None:
    """Forget a server, and what was allowed of it."""
    with _servers(context) as servers:
        servers.remove(name, actor=ACTOR)
    print(f"{name}: removed")


def _switch(context: typer.Context, name: str, *, on: bool) -> None:
    with _servers(context) as servers:
        servers.set_enabled(name, on, actor=ACTOR)
    print(f"{name}: {'on' if on else 'off'}")


@contextmanager
def _servers(context: typer.Context) -> Iterator[ToolServers]:
    from puna.services.assistant.tools.servers import ToolServers

    with open_store(context) as store:
        yield ToolServers(store)


def _offered(servers: ToolServers, name: str) -> Sequence[Tool]:
    """Start the server, or call it, and ask it; it is ended then."""
    from puna.services.assistant.tools.remote import RemoteTools

    async def offered() -> Sequence[Tool]:
        remote = RemoteTools(servers)
        try:
            return await remote.offers(name)
        finally:
            await remote.close()

    return asyncio.run(offered())


def _words(command: str) -> list[str]:
    """Split as a shell does; no shell runs it."""
    try:
        return shlex.split(command)
    except ValueError as error:
        raise typer.BadParameter(f"it cannot be read: {error}", param_hint="--command") from error


def _facts(server: ToolServer) -> dict[str, Any]:
    return {
        "server": server.name,
        "reached": server.reached,
        "state": "on" if server.enabled else "off",
        "allowed": sorted(server.allowed),
    }
