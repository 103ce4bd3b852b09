"""The format of exports: what is not of it is refused with its place; the rest can be kept."""

from __future__ import annotations

import json
from typing import Any

import pytest

from puna.accounts.store import Store
from puna.errors import InvalidParameterError
from puna.services.assistant.conversations import Conversations
from puna.services.assistant.messages import Messages
from puna.services.assistant.saved import FORMAT, conversations_in
from tests.services.assistant.conftest import brought, person


def message(name: str, parent: str | None, role: str, **more: Any) -> dict[str, Any]:
    return {"id": name, "parent": parent, "role": role, "text": "x", **more}


def talk(*messages: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"format": FORMAT, "messages": list(messages), **more}


def answer(**more: Any) -> dict[str, Any]:
    return talk(message("a", None, "user"), message("b", "a", "assistant", **more))


STEP: dict[str, Any] = {"text": "", "calls": [{"id": "c", "name": "n"}]}
SOURCE: dict[str, Any] = {"number": 1, "name": "a.txt"}


@pytest.mark.parametrize(
    ("document", "where"),
    [
        (None, "valid dictionary"),
        ({}, "format"),
        ([], "messages"),
        (talk(), "messages"),
        (talk(message("a", None, "user"), format="other"), "format"),
        (talk(message("a", "b", "user"), message("b", "a", "assistant")), "'a'"),
        (talk(message("a", None, "user"), message("a", None, "user")), "'a'"),
        (talk(message("a", None, "user"), message("b", "a", "user")), "'b'"),
        (talk(message("a", None, "user", html="<b>")), "messages.0.html"),
        ([{"role": "user", "content": None}], "messages.0.text"),
        (answer(steps=[7]), "messages.1.steps.0"),
        (answer(steps=[{**STEP, "calls": [{"id": "c"}]}]), "messages.1.steps.0.calls.0.name"),
        (answer(steps=[{**STEP, "calls": None}]), "messages.1.steps.0.calls"),
        (answer(sources=[{**SOURCE, "place": {"page": "x"}}]), "messages.1.sources.0.place.page"),
        (answer(sources=[{**SOURCE, "number": 10**9}]), "messages.1.sources.0.number"),
        (answer(count={"completion_tokens": "many"}), "messages.1.count.completion_tokens"),
        (answer(count={"completion_tokens": 12.5}), "messages.1.count.completion_tokens"),
        (answer(count={"decode_s": -1}), "messages.1.count.decode_s"),
        (answer(outcome="splendid"), "messages.1.outcome"),
        ([answer(), answer(steps=[7])], "1: messages.1.steps.0"),
    ],
)
def test_a_fault_is_named_with_its_place_and_nothing_is_kept(
    lite: Store, document: Any, where: str
) -> None:
    ann = person(lite, "ann")
    with pytest.raises(InvalidParameterError, match="cannot be brought in") as refused:
        brought(lite, ann, document)
    assert where in str(refused.value)
    assert "export it anew" in str(refused.value)
    assert Conversations(lite).list(ann) == []


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\xff",
        b"[" * 100_000,
        b'{"messages": [' * 2000,
        rb'{"format": "puna.conversation/2", "messages": [{"text": "\ud800"}]}',
        b'{"format": NaN}',
        b'{"format": 1e999}',
        b"9" * 50_000,
    ],
)
def test_what_is_no_sound_json_is_refused(data: bytes) -> None:
    with pytest.raises(InvalidParameterError, match="cannot be brought in") as refused:
        conversations_in(data)
    assert len(str(refused.value)) < 1_000


def test_zero_bytes_are_left_out_on_every_database(store: Store) -> None:
    ann = person(store, "ann")
    zero = "a\0b"
    document = talk(
        message("a", None, "user"),
        message(
            "b",
            "a",
            "assistant",
            text=zero,
            model=zero,
            error=zero,
            outcome="broken",
            steps=[{"text": zero, "calls": [{"id": zero, "name": zero, "result": zero}]}],
            sources=[{**SOURCE, "name": zero, "text": zero, "quote": zero}],
        ),
        title=zero,
    )
    entry = Messages(store).path(ann, brought(store, ann, document).id).entries[1]
    assert (entry.text, entry.model, entry.error) == ("ab", "ab", "ab")
    assert entry.steps[0]["calls"][0]["result"] == entry.sources[0]["quote"] == "ab"
    assert Conversations(store).list(ann)[0].title == "ab"


def test_a_file_of_strangers_is_never_pointed_at(lite: Store) -> None:
    ann = person(lite, "ann")
    document = answer(sources=[{**SOURCE, "file_id": "../../keys"}], files=["fil_else"])
    entry = Messages(lite).path(ann, brought(lite, ann, document).id).entries[1]
    assert (entry.sources[0]["file_id"], entry.file_ids) == (None, ())


def test_many_faults_are_not_listed(lite: Store) -> None:
    document = json.dumps(talk(*[message(str(n), None, "user", steps=[7]) for n in range(19_000)]))
    with pytest.raises(InvalidParameterError, match=r"messages\.0\.steps\.0"):
        conversations_in(document.encode())


def test_more_messages_than_one_conversation_has_are_refused_unread() -> None:
    with pytest.raises(InvalidParameterError, match="20,001"):
        conversations_in(json.dumps([{}] * 20_001).encode())
