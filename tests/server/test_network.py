"""Nothing leaves the machine: whatever a person does, no process of Puna turns to another one."""

from __future__ import annotations

import json
import os
import shlex
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx2
import pytest
from starlette.routing import Route

from puna.server.web.site import routes
from tests.server.process import Puna, keep_model
from tests.server.tracing import Trace, can_watch, is_foreign

pytestmark = pytest.mark.skipif(not can_watch(), reason="strace is not here, or may not look")

OWNER = {"name": "Ana", "email": "ana@example.org", "password": "a long password"}
TOOLS = Path(__file__).parents[1] / "services/assistant/tools/small_server.py"
NOTE = b"# Ichu\n\nIchu is a grass of the high plain. Llamas graze on it all year.\n"
ABROAD = (
    "import socket; s = socket.socket(); s.setblocking(False); s.connect_ex(('192.0.2.1', 9))",
    "import socket; s = socket.socket(type=socket.SOCK_DGRAM); s.sendto(b'x', ('192.0.2.1', 9))",
)
LOOKUP = "import socket\ntry: socket.getaddrinfo('puna.invalid', 80)\nexcept OSError: pass"


class Person:
    """Somebody at the page, with a browser's requests and no browser."""

    def __init__(self, server: Puna) -> None:
        headers = {"X-Puna": "page"}
        self._web = httpx2.Client(base_url=server.url, headers=headers, timeout=60)
        self.send("POST", "/web/welcome", {**OWNER, "token": server.owner_token()})

    def send(self, method: str, path: str, body: Any = None) -> httpx2.Response:
        answer = self._web.request(method, path, json=body)
        assert answer.status_code < 300, (method, path, answer.text)
        return answer

    def attach(self, name: str, content: bytes) -> str:
        headers = {"X-File-Name": name, "Content-Type": "application/octet-stream"}
        answer = self._web.post("/web/files", content=content, headers=headers)
        return str(answer.json()["id"])

    def say(self, text: str, *files: str) -> list[Any]:
        """Ask, and hear the answer to its end."""
        body = {"kind": "say", "text": text, "files": files}
        lines = self.send("POST", "/web/turns", body).text.splitlines()
        events = [json.loads(line) for line in lines]
        assert "error" not in {event["type"] for event in events}, events
        return events

    def leave(self) -> None:
        self.send("POST", "/web/logout")
        self._web.close()


@pytest.fixture
def home(folder: Path, tiny_path: Path) -> Path:
    keep_model(folder, "tiny", tiny_path)
    return folder


def use_every_page(person: Person) -> None:
    for route in routes():
        assert isinstance(route, Route)
        opens = "GET" in (route.methods or ()) and "{" not in route.path
        if opens and route.path not in ("/login", "/welcome"):
            of_a_month = "?tenant=owner&month=2026-11" if route.path == "/console/invoice" else ""
            person.send("GET", f"{route.path}{of_a_month}")


def use_the_chat(person: Person) -> None:
    file = person.attach("ichu.md", NOTE)
    found = person.say("/search ichu grass", file)
    assert "Ichu is a grass" in json.dumps(found)
    asked = person.say("/search ichu | What do llamas graze on?", file)
    assert "ichu.md" in json.dumps(asked)
    assert "84" in json.dumps(person.say("/calc 12 * 7"))
    events = person.say("Who keeps llamas?", file)
    talk = events[0]["conversation"]["id"]
    for kind in ("md", "json"):
        person.send("GET", f"/web/conversations/{talk}/export.{kind}")
    person.send("GET", "/web/conversations?q=llamas")
    person.send("PATCH", f"/web/conversations/{talk}", {"title": "Llamas"})
    person.send("POST", "/web/memory", {"text": "I keep llamas"})


def use_the_console(person: Person) -> None:
    command = shlex.join([sys.executable, str(TOOLS)])
    person.send("POST", "/web/console/tools", {"name": "small", "command": command})
    person.send("POST", "/web/console/tenants", {"name": "Bakery", "plan": "free"})
    person.send("POST", "/web/console/keys", {"name": "till", "tenant": "owner"})


def use_the_api(server: Puna) -> None:
    headers = {"Authorization": f"Bearer {server.key()}"}
    with httpx2.Client(base_url=f"{server.url}/v1", headers=headers, timeout=60) as api:
        said = [{"role": "user", "content": "hello"}]
        chat = {"model": "tiny", "messages": said, "max_tokens": 4}
        for body in (chat, {**chat, "stream": True}):
            assert api.post("/chat/completions", json=body).status_code == 200
        words = {"model": "tiny", "input": "grass"}
        assert api.post("/embeddings", json=words).status_code == 200


def test_a_server_turns_to_no_other_machine_whatever_is_done(home: Path) -> None:
    trace = Trace(home / "trace.txt")
    server = Puna(home, "tiny", prefix=trace.of)
    try:
        server.wait_ready()
        person = Person(server)
        use_the_chat(person)
        assert "84" in run(home, "chat", stdin="/calc 12 * 7").stdout
        use_the_console(person)
        use_every_page(person)
        use_the_api(server)
        person.leave()
        server.process.send_signal(signal.SIGTERM)
        assert server.process.wait(30) == 0
        assert trace.foreign(server.process) == []
    finally:
        server.kill()


def run(home: Path, *arguments: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
    """A command of Puna's, watched from its first instruction to its last."""
    trace = Trace(home / "command.txt")
    command = trace.of([sys.executable, "-m", "puna", *arguments])
    environment = {**os.environ, "PUNA_HOME": str(home), "PUNA_MODEL": "tiny"}
    pipe = subprocess.PIPE
    with subprocess.Popen(
        command, env=environment, stdin=pipe, stdout=pipe, stderr=pipe
    ) as process:
        said, log = process.communicate(stdin.encode(), timeout=60)
    assert process.returncode == 0, log
    assert trace.foreign(process) == [], arguments
    return subprocess.CompletedProcess(command, 0, said.decode(), log.decode())


COMMANDS = [
    ("chat", "--local", "--max-tokens", "4"),
    ("ask", "hello", "--max-tokens", "4"),
    ("tokenize", "hello"),
    ("models",),
    ("models", "show", "tiny"),
    ("usage",),
    ("keys",),
]


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_no_command_turns_to_another_machine(home: Path, command: tuple[str, ...]) -> None:
    done = run(home, *command, stdin="hello")
    assert done.stdout + done.stderr


@pytest.mark.parametrize("program", [*ABROAD, LOOKUP])
def test_the_watch_sees_whatever_leads_away(tmp_path: Path, program: str) -> None:
    """Also in a child of a child."""
    trace = Trace(tmp_path / "trace.txt")
    inner = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {program!r}])"
    process = subprocess.Popen(trace.of([sys.executable, "-c", inner]))
    process.wait(30)
    assert trace.foreign(process)


IPV4 = 'connect(3, {{sa_family=AF_INET, sin_port=htons({}), sin_addr=inet_addr("{}")}}, 16) = 0'
IPV6 = 'connect(3, {{sa_family=AF_INET6, inet_pton(AF_INET6, "{}", &sin6_addr)}}, 28) = 0'


@pytest.mark.parametrize(
    ("call", "foreign"),
    [
        ('connect(3, {sa_family=AF_UNIX, sun_path="/run/postgresql/.s"}, 110) = 0', False),
        ('connect(3, {sa_family=AF_UNIX, sun_path="/run/systemd/resolve/io"}, 110) = 0', True),
        (IPV4.format(80, "127.0.0.1"), False),
        (IPV4.format(53, "127.0.0.53"), True),
        (IPV4.format(80, "192.0.2.1"), True),
        (IPV6.format("::1"), False),
        (IPV6.format("2001:db8::1"), True),
        ('sendto(3, ""..., 9, 0, NULL, 0) = 9', False),
        ("io_uring_setup(8, {flags=0}) = 4", True),
    ],
)
def test_what_counts_as_away(call: str, foreign: bool) -> None:
    assert is_foreign(call) == foreign
