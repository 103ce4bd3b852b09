"""`puna serve`: the API, the page and the accounts on one machine, with nothing to configure."""

from __future__ import annotations

import atexit
import errno
import gc
import logging
import resource
import signal
import socket
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from puna.cli.announcement import announced, where_to_reach
from puna.cli.bounds import MIB, assistant_limits, repeat_bounds, response_bounds
from puna.cli.paying import paying
from puna.cli.served import default_model
from puna.config import Settings
from puna.errors import SettingError

if TYPE_CHECKING:
    from fastapi import FastAPI

    from puna.accounts import PaymentProvider, Store
    from puna.llm.models import Models
    from puna.server import ServerSettings

FIRST_KEY = "first"
BACKLOG = 2048  # connections that wait to be taken
PORT_HINTS = {
    errno.EADDRINUSE: "choose another port with --port",
    errno.EACCES: "choose a port above 1023 with --port",
}
SWITCH_S = 0.001  # how long a busy thread may keep the engine's from going on

Host = Annotated[
    str, typer.Option(metavar="ADDRESS", help="Where to listen; 0.0.0.0 is every network.")
]
Port = Annotated[int, typer.Option(min=0, max=65535, help="0 takes a free one.")]
HostNames = Annotated[
    list[str] | None,
    typer.Option(
        "--host-name",
        metavar="NAME",
        help="A name that the server answers to, beside localhost; `*` for any.",
        show_default=False,
    ),
]
Queue = Annotated[
    int, typer.Option(min=0, metavar="N", help="Requests that may wait; more are refused.")
]
Drain = Annotated[
    float, typer.Option(min=0, metavar="SECONDS", help="What answers get when the server ends.")
]


def serve(  # noqa: PLR0917
    context: typer.Context,
    host: Host = "127.0.0.1",
    port: Port = 8600,
    host_name: HostNames = None,
    queue: Queue = 64,
    drain: Drain = 30.0,
) -> None:
    """Serve models over OpenAI's API, with a page for people at /."""
    settings: Settings = context.obj
    # Until uvicorn takes signals, and once it has drained and sends itself the signal again: what
    # is open is closed on the way out.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    # Python's last search for cycles takes longer than all that is closed before it.
    atexit.register(gc.freeze)
    with _listening(host, port) as sock:
        _serve(settings, host, sock, host_name or [], queue, drain)


@contextmanager
def _listening(host: str, port: int) -> Iterator[socket.socket]:
    """Take the port before anything else is done: another server's first link stays good."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        sock = socket.create_server((host, port), family=family, backlog=BACKLOG)
    except OSError as error:
        why = str(error.strerror or error).partition(" (while")[0]
        hint = PORT_HINTS.get(error.errno or 0, "give --host an address of this machine")
        raise SettingError(f"cannot listen on {host}:{port}: {why}; {hint}") from error
    with sock:
        yield sock


def _serve(  # noqa: PLR0917
    settings: Settings, host: str, sock: socket.socket, names: list[str], queue: int, drain: float
) -> None:
    from puna.server import ServerSettings
    from puna.server.settings import LOCAL_HOSTS

    model, aliases = default_model(settings)
    origin = f"http://{_shown(host)}:{sock.getsockname()[1]}"
    hosts = [*LOCAL_HOSTS, host, sock.getsockname()[0], *names]
    limits = ServerSettings(
        model,
        hosts=hosts,
        queue=queue,
        drain_s=drain,
        upload_bytes=settings.bounds.uploads_mib * MIB,
        spare_bytes=settings.bounds.spare_mib * MIB,
        counts_folder=settings.home / "counts",
    )
    _log_to_stderr()
    _leave_no_core()
    with _open(settings, aliases) as (store, models), paying(settings) as provider:
        models.card(model)  # a file that is no model is refused now, not at the first question
        _welcome(store, origin, model)
        app = _app(settings, store, models, limits, provider)
        key = app.state.services.local_key.renew()
        with announced(settings.home, where_to_reach(sock), key):
            _run(app, host, sock)


@contextmanager
def _open(settings: Settings, aliases: Mapping[str, Path]) -> Iterator[tuple[Store, Models]]:
    """Open the accounts and the models, and close both in the end."""
    from puna.accounts import Store
    from puna.formats.store import ModelStore
    from puna.llm.models import Models, ModelSettings

    opening = ModelSettings(
        budget_bytes=settings.models_mib and settings.models_mib * MIB,
        context_tokens=settings.context_tokens,
        threads=settings.threads,
        isa=settings.isa,
        packed_cache=settings.packed_cache,
        kv_type=settings.kv_type,
    )
    store = Store.open(settings.database_url)
    models = Models(ModelStore(settings.home), opening, aliases)
    try:
        yield store, models
    finally:
        models.close()
        store.close()


def _app(
    settings: Settings,
    store: Store,
    models: Models,
    limits: ServerSettings,
    provider: PaymentProvider | None,
) -> FastAPI:
    from puna.formats.store import ModelStore
    from puna.server import Services, create_app
    from puna.server.web.site import LateSite

    responses, repeats = response_bounds(settings.bounds), repeat_bounds(settings.bounds)
    services = Services.of(store, models, responses=responses, repeats=repeats, provider=provider)
    persons = assistant_limits(settings.bounds)
    site = LateSite(store, ModelStore(settings.home), persons, services.payments)
    return create_app(services, limits, site)


def _run(app: FastAPI, host: str, sock: socket.socket) -> None:
    from puna.server.listening import Server

    sys.setswitchinterval(SWITCH_S)
    # A copy is closed at the end: the port stays taken until the file that names it is gone.
    Server(app, host, sock.getsockname()[1]).run(sockets=[sock.dup()])


def _welcome(store: Store, origin: str, model: str) -> None:
    """Print what the owner needs the first time: a link, and a key in a command to paste."""
    from puna.accounts import SCOPES, Keys, Links, Users
    from puna.server.example import curl

    token = Links(store, Users(store)).for_owner()
    if token is not None:
        print(f"Make the owner's account, once, within a day:\n  {origin}/welcome#{token}\n")
    keys = Keys(store)
    if not keys.list():
        secret = keys.create(FIRST_KEY, scopes=SCOPES, actor="cli").secret
        command = " \\\n    ".join(curl(origin, secret, model))
        print(f"Ask the model, with a key that is shown only now:\n  {command}\n")
    print(f"Puna listens: the page is {origin}/, the API {origin}/v1. Ctrl-C ends it.", flush=True)


def _shown(host: str) -> str:
    """The address as one types it."""
    if host in ("0.0.0.0", "::", ""):
        return "localhost"
    return f"[{host}]" if ":" in host else host


def _log_to_stderr() -> None:
    from puna.server.discretion import Discreet

    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(Discreet())
    logging.basicConfig(level=logging.WARNING, handlers=[handler])
    logging.getLogger("puna.server").setLevel(logging.INFO)
    threading.excepthook = _log_dead_thread


def _log_dead_thread(args: threading.ExceptHookArgs) -> None:
    error = (args.exc_type, args.exc_value, args.exc_traceback)
    logging.getLogger("puna.server").critical("a thread died", exc_info=error)  # type: ignore[arg-type]


def _leave_no_core() -> None:
    """Should the process crash, no file holds the prompts and keys that were in its memory."""
    _soft, hard = resource.getrlimit(resource.RLIMIT_CORE)
    resource.setrlimit(resource.RLIMIT_CORE, (0, hard))
