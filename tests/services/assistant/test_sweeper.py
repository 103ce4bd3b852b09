"""What was deleted leaves the file behind the deletion, in steps that hold nobody up."""

from __future__ import annotations

import random
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
from sqlalchemy import text
from sqlalchemy.orm import Session

from puna.accounts.store import Store
from puna.services.assistant.conversations import Conversations
from puna.services.assistant.finding import Finding
from puna.services.assistant.index import WordIndex
from puna.services.assistant.indexes import EVERY_INDEX, MESSAGE_WORDS
from puna.services.assistant.owner import Owner
from puna.services.assistant.sweeper import PAGES, Sweeper, sweep
from tests.services.assistant.conftest import brought, person

DELETION_S = 0.1
CONVERSATIONS = 5_000
DRAW = random.Random(5)
VOCABULARY = ["".join(DRAW.choices("abcdefghijklmnopqrstuvwxyz", k=6)) for _ in range(5_000)]


def later() -> None:
    """Sweep when the test says so."""


def talk(store: Store, owner: Owner, *words: str) -> str:
    said = [{"role": "user", "content": text} for text in words]
    return brought(store, owner, said).id


def letters(store: Store) -> bytes:
    """Every byte of the database's files."""
    path = Path(str(store.engine.url.database))
    return b"".join(one.read_bytes() for one in path.parent.glob(f"{path.name}*"))


def test_a_sweep_in_the_background_leaves_no_byte(lite: Store) -> None:
    ann, sweeper = person(lite, "ann"), Sweeper(lite, EVERY_INDEX)
    conversations = Conversations(lite, sweep_soon=sweeper.wake)
    talk(lite, ann, "an okapi")
    gone = [talk(lite, ann, f"rhinoceros number {n} " * 200) for n in range(20)]
    for conversation_id in gone:
        conversations.delete(ann, conversation_id)
    deadline = time.monotonic() + 20
    while b"rhinoceros" in letters(lite) and time.monotonic() < deadline:
        time.sleep(0.01)
    sweeper.close()
    assert b"rhinoceros" not in letters(lite)
    assert b"okapi" in letters(lite)


def test_what_an_end_cut_off_is_swept_at_the_next_start(lite: Store) -> None:
    ann = person(lite, "ann")
    talk(lite, ann, "an okapi")
    gone = talk(lite, ann, "rhinoceros " * 2_000)
    Conversations(lite, sweep_soon=later).delete(ann, gone)
    over = threading.Event()
    over.set()
    sweep(lite, EVERY_INDEX, over)
    assert b"rhinoceros" in letters(lite)
    sweep(lite, EVERY_INDEX)
    assert b"rhinoceros" not in letters(lite)
    assert [hit.snippet.text for hit in Finding(lite).find(ann, "okapi")] == ["an okapi"]


def test_among_thousands_of_conversations_a_deletion_and_each_step_are_short(lite: Store) -> None:
    ann = person(lite, "ann")
    ids = fill(lite, ann)
    conversations = Conversations(lite, sweep_soon=later)
    deletions = [timed(partial(conversations.delete, ann, one)) for one in ids[:50:10]]
    steps = timed_steps(lite, MESSAGE_WORDS)
    assert min(deletions) < DELETION_S
    assert sorted(steps)[len(steps) // 2] < DELETION_S
    assert len(steps) > 5
    conversations.delete_all(ann)
    assert conversations.list(ann) == []


def fill(store: Store, owner: Owner) -> list[str]:
    """Thousands of conversations, written without the tables' own modules: that takes minutes."""
    ids = [f"con_{n}" for n in range(CONVERSATIONS)]
    now = 0
    talks = [{"id": i, "t": owner.tenant_id, "u": owner.user_id, "now": now} for i in ids]
    messages = [
        {"number": n + 1, "id": f"msg_{n}", "c": ids[n // 2], "now": now, "words": said()}
        for n in range(2 * CONVERSATIONS)
    ]
    with store.write() as session:
        connection = session.connection()
        connection.execute(text(TALK), talks)
        connection.execute(text(MESSAGE), messages)
        connection.execute(text(WORDS), messages)
    return ids


TALK = """INSERT INTO assistant_conversations
    (id, tenant_id, user_id, title, folded_title, title_by, model, created_at, updated_at)
    VALUES (:id, :t, :u, 'x', 'x', 'opening', 'm', :now, :now)"""
MESSAGE = """INSERT INTO assistant_messages
    (number, id, conversation_id, role, text, outcome, model, file_ids, steps, sources, count,
     error, created_at)
    VALUES (:number, :id, :c, 'user', :words, 'complete', 'm', '[]', '[]', '[]', '{}', '', :now)"""
WORDS = "INSERT INTO assistant_message_words (rowid, words) VALUES (:number, :words)"


def said() -> str:
    return " ".join(DRAW.choices(VOCABULARY, k=60))


def timed(act: Callable[[], object]) -> float:
    begun = time.perf_counter()
    act()
    return time.perf_counter() - begun


def timed_steps(store: Store, index: WordIndex) -> list[float]:
    steps: list[float] = []
    more, pages = True, -PAGES
    while more:
        begun = time.perf_counter()
        with store.write() as session:
            more = index.rewrite(session, pages)
        steps.append(time.perf_counter() - begun)
        pages = PAGES
    return steps


@pytest.mark.parametrize("cleared", [False, True])
def test_sweeping_does_nothing_where_nothing_was_deleted(store: Store, cleared: bool) -> None:
    ann = person(store, "ann")
    talk(store, ann, "an okapi")
    if cleared:
        Conversations(store).delete_all(ann)
    sweep(store, EVERY_INDEX)
    assert bool(Finding(store).find(ann, "okapi")) != cleared


class Stumbling(WordIndex):
    """Fails a few times in a way that nobody foresaw."""

    def __init__(self, table: str, failures: int) -> None:
        super().__init__(table)
        self.left = failures

    def rewrite(self, session: Session, pages: int) -> bool:
        if self.left:
            self.left -= 1
            raise RuntimeError("a bug")
        return super().rewrite(session, pages)


def test_a_sweep_that_fails_is_told_once_counted_and_tried_again(
    lite: Store, caplog: pytest.LogCaptureFixture
) -> None:
    ann, index = person(lite, "ann"), Stumbling("assistant_message_words", 3)
    gone, lapses = talk(lite, ann, "rhinoceros " * 2_000), []
    sweeper = Sweeper(lite, [index], lambda: lapses.append(1), again_s=0.01)
    Conversations(lite, sweep_soon=sweeper.wake).delete(ann, gone)
    deadline = time.monotonic() + 20
    while b"rhinoceros" in letters(lite) and time.monotonic() < deadline:
        time.sleep(0.01)
    sweeper.close()
    assert b"rhinoceros" not in letters(lite)
    assert len(lapses) == 3
    told = [record for record in caplog.records if "to be swept later" in record.getMessage()]
    assert len(told) == 1


def test_a_sweep_that_fails_for_ever_keeps_no_process_alive(tmp_path: Path) -> None:
    code = (
        "from puna.accounts.store import Store\n"
        "from puna.services.assistant.sweeper import Sweeper\n"
        "class Broken:\n"
        "    def rewrite(self, session, pages):\n"
        "        raise RuntimeError\n"
        f"store = Store.open('sqlite:///{tmp_path}/puna.db')\n"
        "Sweeper(store, [Broken()], again_s=3600).wake()\n"
    )
    done = subprocess.run([sys.executable, "-c", code], timeout=60, check=True, capture_output=True)
    assert b"to be swept later" in done.stderr
