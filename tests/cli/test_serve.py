"""`puna serve` at its very beginning; the server itself is tested in tests/server."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import httpx2

from tests.server.process import Puna, keep_model


def serve(
    home: Path, port: int, *options: str, **variables: str
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "puna", "serve", "--port", str(port), *options],
        env={"PUNA_HOME": str(home), "PATH": "/usr/bin:/bin", **variables},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_a_taken_port_is_said_before_anything_is_made(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        ended = serve(tmp_path, port)
    assert ended.returncode == 1
    assert f"cannot listen on 127.0.0.1:{port}" in ended.stderr
    assert "--port" in ended.stderr
    assert "welcome" not in ended.stdout
    assert not list(tmp_path.iterdir())


def test_ended_as_soon_as_it_says_that_it_listens_it_ends_in_order(
    tmp_path: Path, tiny_file: Path
) -> None:
    keep_model(tmp_path, "tiny", tiny_file)
    puna = Puna(tmp_path, "tiny")
    while "Puna listens" not in puna.said.read_text():
        assert puna.process.poll() is None, puna.log.read_text()
        time.sleep(0.001)
    puna.process.send_signal(signal.SIGTERM)
    assert puna.process.wait(30) == 0, puna.log.read_text()
    assert not (tmp_path / "server.json").exists()


def test_a_model_given_by_its_path_is_served_under_its_files_name(
    tmp_path: Path, tiny_file: Path
) -> None:
    puna = Puna(tmp_path, str(tiny_file))
    try:
        puna.wait_ready()
        body = {"model": "tiny", "messages": [{"role": "user", "content": "Hi"}], "max_tokens": 2}
        headers = {"Authorization": f"Bearer {puna.key()}"}
        answer = httpx2.post(f"{puna.url}/v1/chat/completions", json=body, headers=headers)
        assert answer.status_code == 200, answer.text
        assert '"model": "tiny"' in puna.said.read_text()
    finally:
        puna.kill()


def test_a_file_that_is_no_model_is_refused_at_the_start(tmp_path: Path) -> None:
    ended = serve(tmp_path, 0, PUNA_MODEL=__file__)
    assert ended.returncode == 1
    assert "is neither GGUF" in ended.stderr
    assert "Puna listens" not in ended.stdout


def test_an_address_of_another_machine_is_said(tmp_path: Path) -> None:
    ended = serve(tmp_path, 0, "--host", "192.0.2.1")
    assert ended.returncode == 1
    assert ended.stderr.endswith("requested address; give --host an address of this machine\n")
