"""`puna serve` where it cannot listen; the server itself is tested in tests/server."""

from __future__ import annotations

import socket
import subprocess
import sys
from pathlib import Path


def serve(home: Path, port: int) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "puna", "serve", "--port", str(port)],
        env={"PUNA_HOME": str(home), "PATH": "/usr/bin:/bin"},
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
