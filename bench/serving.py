"""`puna serve` with the default model on an empty database, for a measurement.

In: a port.  Out: what it said at its start, once the model can answer.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.request import urlopen


@contextmanager
def serving(port: int) -> Iterator[str]:
    """Run the server; yields what its first start shows: the owner's link and a key."""
    with tempfile.TemporaryDirectory(prefix="puna-bench-") as folder:
        said = Path(folder) / "said.txt"
        command = [sys.executable, "-m", "puna", "serve", "--port", str(port)]
        environment = {**os.environ, "PUNA_DATABASE": f"sqlite:///{folder}/puna.db"}
        with said.open("w") as out:
            process = subprocess.Popen(
                command, env=environment, stdout=out, stderr=subprocess.DEVNULL
            )
        try:
            _await_health(f"http://127.0.0.1:{port}/health", process)
            yield said.read_text()
        finally:
            process.kill()
            process.wait()


def _await_health(url: str, process: subprocess.Popen[bytes]) -> None:
    while process.poll() is None:
        try:
            with urlopen(url, timeout=5):
                return
        except OSError:
            time.sleep(0.05)
    raise SystemExit("puna serve ended before it could answer")
