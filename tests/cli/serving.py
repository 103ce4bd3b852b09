"""`puna serve` in a process of its own, with an owner, and a person at a terminal beside it."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx2

from puna.cli.announcement import find_server
from puna.config import DEFAULT_MODEL, Settings
from puna.formats.store import ModelStore
from tests.cli.conftest import environment
from tests.cli.screen import CONTROL_SEQUENCE, CTRL_D, ENTER, INPUT_ENDS, Screen
from tests.server.process import Puna

OWNER = {"name": "Ana", "email": "ana@example.org", "password": "a long password"}
INPUT_BEGINS = "\x1b[?2004h"  # bracketed paste goes on: the prompt waits
PROMPT = "▷"
STEADY = ("--temperature", "0", "--max-tokens", "16")


class Server:
    """A running server of a home with a model."""

    def __init__(self, home: Path, model: str = DEFAULT_MODEL) -> None:
        self.home = home
        self.process = Puna(home, model)
        self.process.wait_ready()

    @property
    def url(self) -> str:
        return self.process.url

    def make_owner(self) -> None:
        """Open the link of the first start."""
        body = {**OWNER, "token": self.process.owner_token()}
        headers = {"X-Puna": "page"}
        answer = httpx2.post(f"{self.url}/web/welcome", json=body, headers=headers, timeout=30)
        assert answer.status_code == 200, answer.text

    def api(self) -> httpx2.Client:
        """What any program of the same Unix user may ask."""
        found = find_server(self.home)
        assert found is not None
        headers = {"Authorization": f"Bearer {found.key}"}
        return httpx2.Client(base_url=f"{found.url}/api/v1", headers=headers, timeout=60)

    def latest(self) -> dict[str, Any]:
        """The conversation that was last gone on with, and its messages."""
        with self.api() as api:
            [latest] = api.get("/conversations?limit=1").json()["conversations"]
            found: dict[str, Any] = api.get(f"/conversations/{latest['id']}").json()
        return found

    def end(self) -> None:
        self.process.process.send_signal(signal.SIGTERM)
        assert self.process.process.wait(30) == 0


def new_home(folder: Path) -> Path:
    """A home with the default model, linked from the user's store."""
    path = ModelStore(Settings.from_environment().home).find(DEFAULT_MODEL)
    (folder / "models").mkdir(parents=True)
    (folder / "models" / DEFAULT_MODEL).symlink_to(path.parent)
    return folder


@contextmanager
def serving(folder: Path) -> Iterator[Server]:
    """Serve a new home with the default model, whose owner is Ana."""
    with owned(Server(new_home(folder))) as server:
        yield server


@contextmanager
def owned(server: Server) -> Iterator[Server]:
    """Make Ana the owner of a new server, and end it."""
    try:
        server.make_owner()
        yield server
    finally:
        server.process.kill()


def variables(home: Path, **more: str) -> dict[str, str]:
    return {**environment(home), "PUNA_MODEL": DEFAULT_MODEL, **more}


class Marked(Screen):
    """A screen whose text shows where a prompt waits, for what was said before looks like one."""

    @property
    def text(self) -> str:
        marked = self.raw.replace(INPUT_ENDS, "⏎").replace(INPUT_BEGINS, PROMPT)
        return CONTROL_SEQUENCE.sub("", marked).replace("\r", "")


class Chat:
    """A person in `puna chat`."""

    def __init__(self, screen: Marked) -> None:
        self.screen = screen
        self.at = screen.wait_for(f"Ask away.*{PROMPT}")

    @property
    def greeting(self) -> str:
        return self.screen.text[: self.at]

    def enter(self, line: str, expected: str = "", *, then: str = PROMPT) -> str:
        """Type a line; returns what appeared until `then`, which is the next prompt."""
        before = self.at
        self.screen.press(line + ENTER)
        self.at = self.screen.wait_for(f"⏎{expected}.*?{then}", after=before)
        return self.screen.text[before : self.at].partition("⏎")[2]

    def wait(self) -> None:
        """Wait for the next prompt."""
        self.at = self.screen.wait_for(PROMPT, after=self.at)

    def leave(self) -> None:
        self.screen.press(CTRL_D)
        assert self.screen.wait_for_exit() == 0
        assert "Traceback" not in self.screen.text


@contextmanager
def chatting(home: Path, *arguments: str, **more: str) -> Iterator[Chat]:
    """`puna chat` at a terminal."""
    with Marked("chat", *arguments, environment=variables(home, **more)) as screen:
        chat = Chat(screen)
        yield chat
        chat.leave()


def piped(home: Path, text: str, *arguments: str, **more: str) -> subprocess.CompletedProcess[str]:
    """`puna chat` with its question in a pipe."""
    return subprocess.run(
        [sys.executable, "-m", "puna", "chat", *arguments],
        input=text,
        env=variables(home, **more),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def words(text: str) -> list[str]:
    """A text without regard to where its lines are broken."""
    return text.split()
