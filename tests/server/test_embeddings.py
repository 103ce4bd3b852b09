"""/v1/embeddings with OpenAI's own client over a real socket."""

from __future__ import annotations

import base64

import httpx2 as httpx
import numpy as np
import openai
import pytest

from tests.server.openai_client import client
from tests.server.serving import Served


def test_a_text_becomes_a_vector_of_length_one(server: Served) -> None:
    answer = client(server).embeddings.create(
        model="tiny", input="hello world", encoding_format="float"
    )
    vector = np.array(answer.data[0].embedding)
    assert (answer.object, answer.model, answer.data[0].object) == ("list", "tiny", "embedding")
    assert vector.shape == (64,)
    assert np.linalg.norm(vector) == pytest.approx(1, abs=1e-5)
    assert answer.usage.prompt_tokens == answer.usage.total_tokens > 0


def test_base64_holds_the_same_floats_in_the_order_of_the_texts(server: Served) -> None:
    texts = ["hello world", "the", "it is the one"]
    ask = {"model": "tiny", "input": texts}
    url, headers = f"{server.url}/v1/embeddings", server.headers()
    plain = httpx.post(url, json=ask, headers=headers).json()
    coded = httpx.post(url, json={**ask, "encoding_format": "base64"}, headers=headers).json()
    for number, (one, other) in enumerate(zip(plain["data"], coded["data"], strict=True)):
        assert one["index"] == other["index"] == number
        floats = np.frombuffer(base64.b64decode(other["embedding"]), "<f4")
        np.testing.assert_array_equal(np.array(one["embedding"], np.float32), floats)
    through_client = client(server).embeddings.create(model="tiny", input=texts)
    assert len(through_client.data[2].embedding) == 64


def test_token_ids_and_texts_say_the_same(server: Served) -> None:
    ids = httpx.post(
        f"{server.url}/tokenize",
        json={"content": "hello world", "add_special": True},
        headers=server.headers(),
    ).json()["tokens"]
    create = client(server).embeddings.create
    text = create(model="tiny", input="hello world").data[0].embedding
    assert create(model="tiny", input=ids).data[0].embedding == text
    assert create(model="tiny", input=[ids, ids]).data[1].embedding == text


def test_fewer_dimensions_keep_length_one(server: Served) -> None:
    answer = client(server).embeddings.create(model="tiny", input="the", dimensions=8)
    assert len(answer.data[0].embedding) == 8
    assert np.linalg.norm(answer.data[0].embedding) == pytest.approx(1, abs=1e-5)


@pytest.mark.parametrize(
    "body",
    [
        {"input": ""},
        {"input": []},
        {"input": ["the", ""]},
        {"input": ["the", 1]},
        {"input": [[]]},
        {"input": [10**6]},
        {"input": None},
        {"input": "the", "dimensions": 65},
        {"input": "the", "dimensions": 0},
        {"input": "the", "encoding_format": "hex"},
        {"input": ["a"] * 2049},
        {"input": [1] * 3000},
    ],
)
def test_what_cannot_be_embedded_is_a_400_in_openais_shape(
    server: Served, body: dict[str, object]
) -> None:
    with pytest.raises(openai.BadRequestError) as refused:
        client(server).post("/embeddings", body={"model": "tiny", **body}, cast_to=object)
    assert refused.value.type == "invalid_request_error"


def test_an_unknown_model_is_a_404(server: Served) -> None:
    with pytest.raises(openai.NotFoundError, match="there is no model"):
        client(server).embeddings.create(model="tinny", input="the")


def test_it_is_charged_for_the_tokens_that_were_read(server: Served) -> None:
    before = len(server.charged())
    answer = client(server, server.other_key).embeddings.create(model="tiny", input=["the", "one"])
    server.wait_idle()
    charges = server.charged()[before:]
    assert len(charges) == 1
    assert charges[0].tenant_id == server.other_tenant
    assert charges[0].outcome == "success"
    assert charges[0].prompt_tokens == answer.usage.prompt_tokens
    assert charges[0].completion_tokens == 0
    assert charges[0].amount_micros < 0


def test_a_key_without_the_scope_is_refused(server: Served) -> None:
    key = server.services.keys.create("chat only", scopes=frozenset({"chat"})).secret
    with pytest.raises(openai.PermissionDeniedError, match="embeddings"):
        client(server, key).embeddings.create(model="tiny", input="the")
