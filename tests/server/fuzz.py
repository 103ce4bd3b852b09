"""Requests that the API's description allows, and ones that it does not: make fuzz-api.

In: a running server and a number of cases.  Out: what schemathesis found wrong.
Knows the server by its OpenAPI description alone.

    python -m tests.server.fuzz 5000
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import httpx2

from puna.server import ServerSettings
from tests.server.serving import MODEL, Served, served
from tests.tiny import TinyLlama

CONTEXT_TOKENS = 96  # no answer is long
CHECKS = (
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_schema_conformance",
)


def fuzz(
    server: Served, cases: int, *options: str, phases: str = "coverage,fuzzing"
) -> subprocess.CompletedProcess[str]:
    """Send up to `cases` cases of every kind to every route; the status is 0 if all was well."""
    with tempfile.TemporaryDirectory() as folder:
        description = Path(folder) / "openapi.json"
        description.write_text(json.dumps(described(server)))
        command = [
            *(str(Path(sys.executable).with_name("st")), "run", str(description)),
            *("--url", server.url, "--header", f"Authorization: Bearer {server.key}"),
            *("--checks", ",".join(CHECKS), "--max-examples", str(cases), "--warnings", "off"),
            *("--suppress-health-check", "all", "--generation-database", "none", "--no-color"),
            *("--phases", phases, *options),
        ]
        return subprocess.run(command, capture_output=True, text=True, cwd=folder, check=False)


def described(server: Served) -> dict[str, Any]:
    """The server's description, with the names of what is there: other names end early."""
    schema: dict[str, Any] = json.loads(json.dumps(server.app.openapi()))
    for body in schema["components"]["schemas"].values():
        if "model" in body.get("properties", {}):
            body["properties"]["model"] = {"type": "string", "enum": [MODEL]}
    known = {"model": [MODEL], "response_id": [_kept(server) for _ in range(20)]}
    for path in schema["paths"].values():
        for operation in path.values():
            for parameter in operation.get("parameters", []):
                if parameter["in"] == "path":
                    parameter["schema"] = {"type": "string", "enum": known[parameter["name"]]}
    return schema


def _kept(server: Served) -> str:
    body = {"model": MODEL, "input": "hello", "max_output_tokens": 2}
    answer = httpx2.post(f"{server.url}/v1/responses", json=body, headers=server.headers())
    return str(answer.raise_for_status().json()["id"])


def main(cases: int) -> int:
    """Serve a tiny Llama, and show what was found."""
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        model = TinyLlama(seed=1).write_gguf(home / "tiny.gguf")
        with served(home, model, ServerSettings(MODEL), CONTEXT_TOKENS) as server:
            found = fuzz(server, cases, "--continue-on-failure")
    print(found.stdout, found.stderr)
    return found.returncode


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1])))
