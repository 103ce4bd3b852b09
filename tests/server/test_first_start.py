"""The first `puna serve`: what it prints works as printed, and nobody else can reach it."""

from __future__ import annotations

import errno
import json
import re
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest

from tests.server.process import Puna, keep_model

UNROUTED = "192.0.2.1"  # of a network for documentation: choosing a way there sends nothing


@pytest.fixture(scope="module")
def puna(tmp_path_factory: pytest.TempPathFactory, tiny_path: Path) -> Iterator[Puna]:
    home = tmp_path_factory.mktemp("first")
    keep_model(home, "tiny", tiny_path)
    puna = Puna(home, "tiny")
    puna.wait_ready()
    yield puna
    puna.kill()


def printed_command(puna: Puna) -> str:
    """The lines of the command, just as they stand on the terminal."""
    found = re.search(r"^  curl .*?[^\\]\n", puna.said.read_text(), re.DOTALL | re.MULTILINE)
    assert found
    return found[0]


def test_the_printed_command_is_answered_when_pasted(puna: Puna, tmp_path: Path) -> None:
    command = printed_command(puna)
    assert command.count("\n") > 1  # it is broken into lines
    pasted = subprocess.run(
        ["bash"],
        input=command,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert pasted.returncode == 0, pasted.stderr
    answer = json.loads(pasted.stdout)
    assert answer["object"] == "chat.completion", answer
    assert answer["model"] == "tiny"
    assert answer["usage"]["completion_tokens"] > 0


def test_the_printed_addresses_open(puna: Puna) -> None:
    link = re.search(r"http://\S+/welcome", puna.said.read_text())
    assert link
    assert httpx2.get(link[0]).status_code == 200
    assert httpx2.get(f"{puna.url}/v1/models").status_code == 401  # it is there, and closed


def test_no_other_address_of_the_machine_is_listened_on(puna: Puna) -> None:
    with socket.create_connection(("127.0.0.1", puna.port), timeout=5):
        pass
    for address in ("127.0.0.2", *own_addresses()):
        with socket.socket() as stranger:
            stranger.settimeout(5)
            assert stranger.connect_ex((address, puna.port)) == errno.ECONNREFUSED, address


def own_addresses() -> list[str]:
    """Those that others would reach this machine by, if it is in a network at all."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect((UNROUTED, 9))
        except OSError:
            return []
        return [probe.getsockname()[0]]
