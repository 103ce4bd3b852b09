"""Responses made in the background, with OpenAI's own client over a real socket."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import httpx2
import openai
import pytest
from openai.types.responses import Response
from sqlalchemy import update

from puna.accounts import Store, holder
from puna.accounts.tenants import OWNER_TENANT
from puna.server import ServerSettings
from puna.services.responses import Responses
from puna.services.responses.responses import ResponseRow
from tests.server.openai_client import client
from tests.server.serving import MODEL, Served, served

SHORT: dict[str, Any] = {"model": "tiny", "temperature": 0, "max_output_tokens": 6}
LONG_TEXT: Any = {  # an answer that cannot end early
    "format": {
        "type": "json_schema",
        "name": "s",
        "schema": {"type": "array", "items": {"type": "boolean"}, "minItems": 900},
    }
}
LONG: dict[str, Any] = {
    "model": "tiny",
    "input": "hello",
    "text": LONG_TEXT,
    "max_output_tokens": 1900,  # stated: nothing more has to be reserved while it is made
    "background": True,
}


def ended(api: openai.OpenAI, response_id: str) -> Response:
    """Poll as OpenAI's guide has it."""
    for _ in range(2000):
        response = api.responses.retrieve(response_id)
        if response.status not in ("queued", "in_progress"):
            return response
        time.sleep(0.01)
    raise AssertionError("it does not end")


def test_it_answers_at_once_and_is_polled_until_it_has_ended(server: Served) -> None:
    api = client(server)
    before = len(server.charged())
    begun = api.responses.create(input="hello", background=True, **SHORT)
    assert (begun.status, begun.background, begun.output) == ("queued", True, [])
    made = ended(api, begun.id)
    assert made.status == "incomplete"
    assert made.background
    plain = api.responses.create(input="hello", **SHORT)
    assert made.output_text == plain.output_text
    assert made.usage is not None
    assert plain.usage is not None
    assert made.usage.output_tokens == plain.usage.output_tokens
    server.wait_idle()
    assert [charge.outcome for charge in server.charged()[before:]] == ["success", "success"]
    items = api.responses.input_items.list(begun.id).data
    assert [item.model_dump()["content"][0]["text"] for item in items] == ["hello"]
    after = api.responses.create(input="the one", previous_response_id=begun.id, **SHORT)
    assert after.output_text


def test_its_client_may_go_and_follow_it_again_from_any_event(server: Served) -> None:
    api = client(server)
    stream = api.responses.create(input="hello", background=True, stream=True, **SHORT)
    first = [next(stream) for _ in range(3)]
    stream.close()
    assert [event.type for event in first] == [
        "response.created",
        "response.queued",
        "response.in_progress",
    ]
    assert first[0].type == "response.created"
    response_id = first[0].response.id
    rest = list(api.responses.retrieve(response_id, stream=True, starting_after=2))
    numbers = [event.sequence_number for event in [*first, *rest]]
    assert numbers == list(range(len(numbers)))
    last = rest[-1]
    assert last.type == "response.incomplete"
    said = "".join(event.delta for event in rest if event.type == "response.output_text.delta")
    assert last.response.output_text == said == ended(api, response_id).output_text
    whole = list(api.responses.retrieve(response_id, stream=True))
    assert [event.type for event in whole] == [event.type for event in [*first, *rest]]


def test_it_is_cancelled_and_cancelled_again(server: Served) -> None:
    api = client(server)
    begun = api.responses.create(**LONG)
    with pytest.raises(openai.ConflictError, match="has not ended"):
        api.responses.create(input="and", previous_response_id=begun.id, **SHORT)
    other = client(server, server.other_key).responses
    for ask in (other.retrieve, other.cancel, other.delete):
        with pytest.raises(openai.NotFoundError):
            ask(begun.id)
    assert api.responses.cancel(begun.id).status == "cancelled"
    assert ended(api, begun.id).status == "cancelled"
    server.wait_idle()
    assert api.responses.cancel(begun.id).status == "cancelled"


def test_deleting_it_ends_it(server: Served) -> None:
    api = client(server)
    begun = api.responses.create(**LONG)
    api.responses.delete(begun.id)
    with pytest.raises(openai.NotFoundError):
        api.responses.retrieve(begun.id)
    server.wait_idle(5)
    with pytest.raises(openai.NotFoundError):
        api.responses.retrieve(begun.id)


def test_the_end_of_the_server_ends_it_and_is_kept(tmp_path: Path, slow_path: Path) -> None:
    """Of a model that is still answering by then: the tiny one may be done within the drain."""
    settings = ServerSettings(MODEL, drain_s=0.2)
    with served(tmp_path, slow_path, settings) as server:
        server.wait_ready()
        begun = client(server).responses.create(**LONG)
    store = Store.open(f"sqlite:///{tmp_path}/puna.db")
    kept = Responses(store).get(OWNER_TENANT, begun.id)
    store.close()
    assert kept.ended
    assert kept.response["status"] == "failed"
    assert kept.response["error"]["code"] == "shutting_down"


def test_what_another_process_had_begun_has_failed(server: Served) -> None:
    api = client(server)
    begun = api.responses.create(input="hello", background=True, **SHORT)
    ended(api, begun.id)
    server.wait_idle()
    with server.services.store.write() as session:
        gone = update(ResponseRow).where(ResponseRow.id == begun.id)
        session.execute(gone.values(holder="elsewhere:1:1"))
    assert api.responses.retrieve(begun.id).status == "incomplete"  # as the other says
    with server.services.store.write() as session:
        session.execute(gone.values(holder=holder.this_process()))
    lost = api.responses.retrieve(begun.id)
    assert lost.status == "failed"
    assert lost.error is not None
    assert "ended before" in lost.error.message


def test_a_response_of_the_foreground_is_not_followed(server: Served) -> None:
    api = client(server)
    made = api.responses.create(input="hello", **SHORT)
    with pytest.raises(openai.BadRequestError, match="without stream"):
        list(api.responses.retrieve(made.id, stream=True))


def test_a_prompt_that_does_not_fit_is_refused_at_once(server: Served) -> None:
    url = f"{server.url}/v1/responses"
    for more in ({"input": "the " * 3000}, {"input": "x", "store": False}):
        body = {"model": "tiny", "background": True, **more}
        refused = httpx2.post(url, json=body, headers=server.headers())
        assert refused.status_code == 400, refused.text
