"""The child's doors are closed: no connection, no file, when it parses."""

from __future__ import annotations

import subprocess
import sys

PROBE = """
import json, socket, sys
from puna.services.assistant.reading import child
child._limit_resources({"memory_bytes": 2**26, "cpu_s": 5})
found = []
for name, attempt in {
    "connection": lambda: socket.socket(),
    "file": lambda: open("/etc/passwd"),
    "program": lambda: __import__("subprocess").run(["/bin/true"], capture_output=True),
    "written": lambda: open("/tmp/x", "w"),
}.items():
    try:
        attempt()
        found.append(name)
    except OSError:
        pass
print(json.dumps(found))
"""


def test_a_parser_reaches_neither_network_nor_files() -> None:
    done = subprocess.run([sys.executable, "-c", PROBE], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
