"""No request that its description allows, or does not allow, breaks the server."""

from __future__ import annotations

from pathlib import Path

import httpx2
import pytest

from puna.server import ServerSettings
from tests.server.fuzz import CONTEXT_TOKENS, fuzz
from tests.server.serving import MODEL, Served, served


def test_the_server_answers_whatever_comes_as_it_says(tmp_path: Path, tiny_path: Path) -> None:
    """`make fuzz-api cases=5000` sends more."""
    with served(tmp_path, tiny_path, ServerSettings(MODEL), CONTEXT_TOKENS) as server:
        for found in fuzz(server, 4):
            assert found.sound, "\n".join([str(found), *found.faults.values()])
            assert found.cases > 0
        server.wait_idle()


HALF = r'"\ud800"'  # of a surrogate pair: valid JSON, but no text
ODD = {
    "half": HALF,
    "half as a name": f"{{{HALF}: {HALF}}}",
    "NaN": '{"x": NaN}',
    "infinity": '{"x": 1e999}',
    "deep object": '{"items": ' * 400 + "{}" + "}" * 400,
    "deeper than Python goes": "[" * 100_000,
    "long number": "9" * 5000,
    "zero byte": r'"\u0000"',
    "true": "true",
    "big number": str(2**64),
}
PLACES = {
    "/v1/chat/completions": [
        '"messages": [{"role": "user", "content": ODD}]',
        '"messages": [{"role": "user", "content": "x"}], "logit_bias": ODD',
        '"messages": [{"role": "user", "content": "x"}], "stop": ODD',
        '"messages": [{"role": "user", "content": "x"}], "seed": ODD',
        '"messages": [{"role": "user", "content": "x"}], "tools": [{"type": "function",'
        ' "function": {"name": "f", "parameters": ODD}}]',
        '"messages": [{"role": "user", "content": "x"}], "response_format": {"type": '
        '"json_schema", "json_schema": {"name": "n", "schema": ODD}}',
    ],
    "/v1/completions": ['"prompt": ODD', '"prompt": [ODD]', '"prompt": "x", "temperature": ODD'],
    "/v1/embeddings": ['"input": ODD', '"input": [ODD]', '"input": [[ODD]]'],
    "/v1/responses": [
        '"input": ODD',
        '"input": [{"type": ODD}]',
        '"input": "x", "metadata": ODD',
        '"input": "x", "previous_response_id": ODD',
        '"input": "x", "tools": [{"type": "function", "name": "f", "parameters": ODD}]',
        '"input": "x", "text": {"format": {"type": "json_schema", "name": "n", "schema": ODD}}',
    ],
    "/tokenize": ['"content": ODD'],
    "/detokenize": ['"tokens": ODD', '"tokens": [ODD]'],
}


@pytest.mark.parametrize("odd", ODD.values(), ids=ODD.keys())
def test_json_that_is_odd_is_answered_or_refused(server: Served, odd: str) -> None:
    most = '"max_tokens": 2, "max_output_tokens": 2'
    headers = {**server.headers(), "Content-Type": "application/json"}
    with httpx2.Client(base_url=server.url, headers=headers, timeout=30) as client:
        for path, places in PLACES.items():
            for place in places:
                body = f'{{"model": "{MODEL}", {most}, {place.replace("ODD", odd)}}}'
                answer = client.post(path, content=body)
                assert answer.status_code in (200, 400), (path, place, answer.text)
                if answer.status_code == 400:
                    assert answer.json()["error"]["message"]
    server.wait_idle()
