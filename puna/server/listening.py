"""The server's life: it listens, and its end is orderly.

In: an application and an address.  Out: a running uvicorn.  Knows no routes.
"""

from __future__ import annotations

import logging
import signal
import socket
from math import ceil
from types import FrameType

import uvicorn
from fastapi import FastAPI

from puna.server.connection import LAST_BYTES_S, protocol_with
from puna.server.settings import ServerSettings

log = logging.getLogger("puna.server.listening")


def config_for(app: FastAPI, host: str, port: int) -> uvicorn.Config:
    """Return uvicorn's settings for the application."""
    settings: ServerSettings = app.state.settings
    return uvicorn.Config(
        app,
        host=host,
        port=port,
        http=protocol_with(settings),
        ws="none",
        lifespan="on",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_keep_alive=ceil(settings.header_s),
        timeout_graceful_shutdown=int(LAST_BYTES_S) + 1,
    )


class Server(uvicorn.Server):
    """Told to end, it lets answers under way finish first; told twice, it ends them."""

    def __init__(self, app: FastAPI, host: str, port: int) -> None:
        super().__init__(config_for(app, host, port))
        self._app = app

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Drain, then close the sockets."""
        desk = self._app.state.desk
        if desk.gate.inside:
            log.info("ending: answers under way get %g s; again ends them", desk.settings.drain_s)
        await desk.drain()
        await super().shutdown(sockets)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Begin to end; the second signal ends what still runs."""
        if self.should_exit:
            self._app.state.desk.hurry()
        super().handle_exit(signal.SIGTERM if self.should_exit else sig, frame)

    @property
    def port(self) -> int:
        """The port that it listens on."""
        port: int = self.servers[0].sockets[0].getsockname()[1]
        return port
