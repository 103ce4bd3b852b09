"""The same words are found on both databases, in every script, and only in one's own."""

from __future__ import annotations

import pytest

from puna.accounts.store import Store
from puna.services.assistant.conversations import Conversations
from puna.services.assistant.finding import Finding
from puna.services.assistant.messages import Messages
from puna.services.assistant.owner import Owner
from tests.services.assistant.conftest import Clock, person

SAID = {
    "eggs": "How long do I boil an egg so that the yolk stays soft?",
    "paris": "Un café crème à Paris, s'il vous plaît — low-cost flights too",
    "tokyo": "東京の天気はどうですか",
    "moscow": "Какая погода в Москве завтра?",
    "code": "for file_name in os.listdir('.'): print(file_name)",
}


@pytest.fixture
def ann(store: Store, clock: Clock) -> Owner:
    ann = person(store, "ann")
    for title, words in SAID.items():
        made = Conversations(store, clock).create(ann, title=title)
        Messages(store, clock).say(ann, made.id, None, words)
    return ann


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("yolk", ["eggs"]),
        ("boil soft", ["eggs"]),
        ("boil hard", []),
        ("CAFE creme", ["paris"]),
        ("low-cost", ["paris"]),
        ("cost-low", []),
        ("fligh", ["paris"]),
        ("天気", ["tokyo"]),
        ("気天", []),
        ("москв", ["moscow"]),
        ("file_name", ["code"]),
        ("eg", ["eggs"]),
        ("toky", ["tokyo"]),
        ("", []),
        ("'\"*) OR (", ["code"]),
    ],
)
def test_words_phrases_and_beginnings_are_found(
    store: Store, ann: Owner, query: str, expected: list[str]
) -> None:
    hits = Finding(store).find(ann, query)
    if query == "'\"*) OR (":
        assert all("or" in hit.snippet.text.casefold() for hit in hits)  # it is words, no syntax
        return
    assert [hit.conversation.title for hit in hits] == expected


def test_the_snippet_shows_the_words(store: Store, ann: Owner) -> None:
    [hit] = Finding(store).find(ann, "yol")
    assert [hit.snippet.text[start:end] for start, end in hit.snippet.marks] == ["yolk"]
    assert hit.message_id


def test_an_answer_is_found_once_it_is_finished(store: Store, clock: Clock) -> None:
    bea = person(store, "bea")
    chat = Conversations(store, clock).create(bea)
    messages = Messages(store, clock)
    said = messages.say(bea, chat.id, None, "a question")
    answer = messages.open_answer(bea, chat.id, said.id, model="m")
    messages.finish(bea, answer.id, "stopped", "the wombat sleeps")
    assert [hit.message_id for hit in Finding(store).find(bea, "wombat")] == [answer.id]
