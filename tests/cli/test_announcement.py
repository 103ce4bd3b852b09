"""The server's file: found while it runs, refused when it is stale, open or not one's own."""

from __future__ import annotations

import json
import os
import signal
import socket
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from puna.cli.announcement import NAME, announced, find_server, where_to_reach

URL = "http://127.0.0.1:8600"
SERVER = """
import sys, time
from pathlib import Path
from puna.cli.announcement import announced
with announced(Path(sys.argv[1]), "http://127.0.0.1:8600", "secret"):
    print("there", flush=True)
    time.sleep(60)
"""


def start(home: Path) -> subprocess.Popen[str]:
    server = subprocess.Popen(
        [sys.executable, "-c", SERVER, str(home)], stdout=subprocess.PIPE, text=True
    )
    assert server.stdout
    assert server.stdout.readline() == "there\n"
    return server


def end(server: subprocess.Popen[str], how: signal.Signals) -> None:
    server.send_signal(how)
    server.communicate(timeout=20)


def test_it_is_found_while_it_runs_and_gone_afterwards(tmp_path: Path) -> None:
    assert find_server(tmp_path) is None
    with announced(tmp_path / "new", URL, "secret"):
        found = find_server(tmp_path / "new")
        assert found is not None
        assert (found.url, found.key, found.process) == (URL, "secret", os.getpid())
        assert "secret" not in repr(found)
        assert stat.S_IMODE((tmp_path / "new" / NAME).stat().st_mode) == 0o600
    assert list((tmp_path / "new").iterdir()) == []


def test_what_a_killed_server_left_is_stale_and_written_over(tmp_path: Path) -> None:
    server = start(tmp_path)
    assert find_server(tmp_path) is not None
    end(server, signal.SIGKILL)
    assert (tmp_path / NAME).exists()
    assert find_server(tmp_path) is None
    with announced(tmp_path, "http://127.0.0.1:8601", "fresh"):
        found = find_server(tmp_path)
        assert found is not None
        assert found.key == "fresh"


def test_a_second_server_leaves_the_first_ones_file_alone(tmp_path: Path) -> None:
    with announced(tmp_path, URL, "first"):
        with announced(tmp_path, "http://127.0.0.1:8601", "second"):
            pass
        found = find_server(tmp_path)
        assert found is not None
        assert found.key == "first"


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620])
def test_a_file_that_others_can_open_is_not_trusted(tmp_path: Path, mode: int) -> None:
    with announced(tmp_path, URL, "secret"):
        (tmp_path / NAME).chmod(mode)
        assert find_server(tmp_path) is None


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may give a file away")
def test_a_file_of_another_user_is_not_trusted(tmp_path: Path) -> None:
    with announced(tmp_path, URL, "secret"):
        os.chown(tmp_path / NAME, 12345, 12345)
        assert find_server(tmp_path) is None


def test_a_link_is_not_followed(tmp_path: Path) -> None:
    with announced(tmp_path / "theirs", URL, "secret"):
        (tmp_path / NAME).symlink_to(tmp_path / "theirs" / NAME)
        assert find_server(tmp_path) is None


@pytest.mark.parametrize("change", [{"machine": "elsewhere"}, {"process": 2**22 + 1}, {"x": 1}])
def test_a_file_of_another_machine_or_process_or_kind_is_not_trusted(
    tmp_path: Path, change: dict[str, object]
) -> None:
    with announced(tmp_path, URL, "secret"):
        path = tmp_path / NAME
        path.write_text(json.dumps({**json.loads(path.read_text()), **change}))
        assert find_server(tmp_path) is None
        path.write_text("[")
        assert find_server(tmp_path) is None


@pytest.mark.parametrize(
    ("host", "nearest"), [("127.0.0.1", "127.0.0.1"), ("0.0.0.0", "127.0.0.1"), ("::1", "[::1]")]
)
def test_the_address_is_numbers(host: str, nearest: str) -> None:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.create_server((host, 0), family=family) as sock:
        assert where_to_reach(sock) == f"http://{nearest}:{sock.getsockname()[1]}"
