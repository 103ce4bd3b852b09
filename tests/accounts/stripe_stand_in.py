"""A stand-in for Stripe on a real socket, which answers as its documentation says."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any
from urllib.parse import parse_qs

from puna.accounts.signature import sign
from puna.accounts.stripe import HEADER

API_KEY, WEBHOOK_SECRET = "sk_test_abc", "whsec_test"


class StandIn(ThreadingHTTPServer):
    """Keeps Checkout Sessions; a repeated Idempotency-Key returns the first one."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.sessions: dict[str, dict[str, Any]] = {}
        self.by_key: dict[str, str] = {}
        self.forms: list[dict[str, str]] = []
        self.fail = False

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


class Handler(BaseHTTPRequestHandler):
    server: StandIn

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        form = {name: values[0] for name, values in parse_qs(body).items()}
        self.server.forms.append(form)
        key = self.headers["Idempotency-Key"]
        if key not in self.server.by_key:
            session_id = f"cs_test_{len(self.server.sessions)}"
            self.server.by_key[key] = session_id
            self.server.sessions[session_id] = {
                "id": session_id,
                "url": f"https://checkout.stripe.com/c/pay/{session_id}",
                "payment_status": "unpaid",
                "amount_total": int(form["line_items[0][price_data][unit_amount]"]),
                "currency": form["line_items[0][price_data][currency]"],
            }
        self.answer(self.server.sessions[self.server.by_key[key]])

    def do_GET(self) -> None:
        self.answer(self.server.sessions.get(self.path.rpartition("/")[2]))

    def answer(self, session: dict[str, Any] | None) -> None:
        if self.headers["Authorization"] != f"Bearer {API_KEY}":
            status, body = 401, {"error": {"message": "Invalid API Key"}}
        elif session is None:
            status, body = 404, {"error": {"message": "No such checkout.session"}}
        else:
            status, body = 200, session
        content = b"<html>" if self.server.fail else json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *args: Any) -> None:
        """Keep quiet."""


@contextmanager
def standing_in() -> Iterator[StandIn]:
    """Have one for a while."""
    with StandIn() as server:
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def message(
    session: dict[str, Any],
    now: datetime,
    kind: str = "checkout.session.completed",
    secret: str = WEBHOOK_SECRET,
) -> tuple[bytes, dict[str, str]]:
    """A webhook's body and headers."""
    body = json.dumps({"id": "evt_1", "type": kind, "data": {"object": session}}).encode()
    return body, {HEADER: sign(body, secret, now)}
