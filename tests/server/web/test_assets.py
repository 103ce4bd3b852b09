"""Static files: hashed, compressed, light, and licensed."""

from __future__ import annotations

import gzip
import re

import pytest
from starlette.applications import Starlette
from starlette.routing import Route
from starlette.testclient import TestClient

from puna.server.web import assets

FIRST_LOAD_BYTES = 300_000


@pytest.fixture(scope="module")
def client() -> TestClient:
    return TestClient(
        Starlette(routes=[Route("/static/{version}/{path:path}", assets.static_file)])
    )


def test_a_file_is_compressed_and_kept_for_a_year(client: TestClient) -> None:
    answer = client.get(assets.address("js/markdown.js"), headers={"Accept-Encoding": "gzip"})
    assert answer.headers["content-encoding"] == "gzip"
    assert answer.headers["cache-control"] == "public, max-age=31536000, immutable"
    assert answer.content == assets.plain("js/markdown.js")


def test_whoever_takes_no_gzip_gets_the_plain_bytes(client: TestClient) -> None:
    answer = client.get(assets.address("llama.svg"), headers={"Accept-Encoding": "identity"})
    assert "content-encoding" not in answer.headers
    assert answer.text.startswith("<svg")


@pytest.mark.parametrize(
    "path", ["../web/assets.py", "%2e%2e/guard.py", "js/none.js", "vendor/marked/LICENSE"]
)
def test_nothing_else_is_served(client: TestClient, path: str) -> None:
    assert client.get(f"/static/{assets.version()}/{path}").status_code == 404


def test_an_old_version_is_gone(client: TestClient) -> None:
    assert client.get("/static/0000000000000000/js/chat.js").status_code == 404


def test_every_foreign_script_carries_its_licence() -> None:
    for folder in (assets.FOLDER / "vendor").iterdir():
        assert any("Copyright" in file.read_text() for file in folder.glob("LICENSE*")), folder


def test_the_first_load_is_light() -> None:
    """All of our own and the Markdown reader, compressed; math and colours come later."""
    own = [p for p in sorted(assets._paths()) if not re.match(r"vendor/(katex|highlight)/", p)]
    weight = sum(len(assets.compressed(path)) for path in own)
    assert gzip.decompress(assets.compressed(own[0])) == assets.plain(own[0])
    assert weight < FIRST_LOAD_BYTES
