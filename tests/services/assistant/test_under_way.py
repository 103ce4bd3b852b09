"""Two processes on one database: the answers of the living go on, those of the dead are ended."""

from __future__ import annotations

import multiprocessing
from datetime import timedelta
from multiprocessing.connection import Connection

from sqlalchemy import update

from puna.accounts.schema import utc_now
from puna.accounts.store import Store
from puna.services.assistant.assistant import Assistant
from puna.services.assistant.entry import MessageRow
from puna.services.assistant.owner import Owner
from puna.services.assistant.under_way import LEASE
from tests.services.assistant.conftest import person


def answer_until_told(url: str, owner: Owner, line: Connection) -> None:
    """Be another server: begin an answer, say which, and give it until the end is asked for."""
    store = Store.open(url)
    assistant = Assistant(store)
    assistant.mend()
    chat = assistant.conversations.create(owner)
    said = assistant.messages.say(owner, chat.id, None, "go on")
    answer = assistant.messages.open_answer(owner, chat.id, said.id, model="m")
    assistant.messages.save(owner, answer.id, "half of", [{"text": "half of", "calls": []}])
    line.send(answer.id)
    line.recv()
    assistant.messages.finish(owner, answer.id, "complete", "all of it")
    store.close()


class Other:
    """A process of its own that gives an answer."""

    def __init__(self, url: str, owner: Owner) -> None:
        context = multiprocessing.get_context("spawn")
        self.line, theirs = context.Pipe()
        self.process = context.Process(target=answer_until_told, args=(url, owner, theirs))
        self.process.start()
        theirs.close()
        self.answer_id: str = self.line.recv()

    def finish(self) -> None:
        self.line.send("go on")
        self.end()

    def kill(self) -> None:
        self.process.kill()
        self.end()

    def end(self) -> None:
        self.process.join(20)
        self.process.close()
        self.line.close()


def test_a_start_ends_the_answers_of_dead_processes_alone(store: Store, url: str) -> None:
    ann, here = person(store, "ann"), Assistant(store)
    living, dead = Other(url, ann), Other(url, ann)
    dead.kill()
    here.mend()
    broken = here.messages.get(ann, dead.answer_id)
    assert (broken.outcome, broken.text) == ("broken", "half of")
    assert broken.steps[0]["text"] == "half of"
    assert broken.error
    assert here.messages.get(ann, living.answer_id).outcome == "running"
    living.finish()
    ended = here.messages.get(ann, living.answer_id)
    assert (ended.outcome, ended.text) == ("complete", "all of it")


def test_of_another_machine_a_minutes_silence_tells(store: Store) -> None:
    ann, now = person(store, "ann"), utc_now()
    here, later = Assistant(store), Assistant(store, clock=lambda: now + LEASE)
    chat = here.conversations.create(ann)
    said = here.messages.say(ann, chat.id, None, "go on")
    answer = here.messages.open_answer(ann, chat.id, said.id, model="m")
    with store.write() as session:
        session.execute(update(MessageRow).values(holder="elsewhere:1:1", renewed_at=now))
    assert here.under_way.mend() == 0
    again = Assistant(store, clock=lambda: now + timedelta(seconds=45))
    again.messages.given_here.add(answer.id)
    again.under_way.keep()
    assert later.under_way.mend() == 0
    latest = Assistant(store, clock=lambda: now + timedelta(seconds=45) + LEASE)
    assert (latest.under_way.mend(), latest.under_way.mend()) == (1, 0)
    assert here.messages.get(ann, answer.id).outcome == "broken"


def test_an_answer_that_ended_is_not_renewed(store: Store) -> None:
    ann, here = person(store, "ann"), Assistant(store)
    chat = here.conversations.create(ann)
    said = here.messages.say(ann, chat.id, None, "go on")
    answer = here.messages.open_answer(ann, chat.id, said.id, model="m")
    assert here.messages.given_here == {answer.id}
    here.messages.finish(ann, answer.id, "complete", "done")
    assert here.messages.given_here == set()
