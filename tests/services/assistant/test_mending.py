"""After a crash or from a restored copy: what was running is over, and every word is found."""

from __future__ import annotations

import io
import multiprocessing
import os
from pathlib import Path

from puna.accounts.backup import backup, restore
from puna.accounts.schema import utc_now
from puna.accounts.store import Store
from puna.services.assistant.assistant import Assistant
from puna.services.assistant.owner import Owner
from puna.services.assistant.under_way import LEASE
from tests.services.assistant.conftest import person


def test_a_restored_copy_is_searched_as_the_first_one_was(store: Store, tmp_path: Path) -> None:
    ann, first = person(store, "ann"), Assistant(store)
    chat = first.conversations.create(ann, title="Herds")
    said = first.messages.say(ann, chat.id, None, "Where do alpacas graze?")
    first.messages.open_answer(ann, chat.id, said.id, model="m")
    file = first.files.add(ann, "herd.txt", b"The herd of vicunas grazes on the plateau.")
    backup(store, tmp_path / "copy")
    url = f"sqlite:///{tmp_path}/restored.db"
    restore(tmp_path / "copy", url)
    restored = Store.open(url)
    again = Assistant(
        restored, clock=lambda: utc_now() + LEASE
    )  # its process lives: it is this one
    assert again.finding.find(ann, "alpacas") == []
    again.mend()
    (hit,) = again.finding.find(ann, "alpacas")
    assert hit.message_id == said.id
    assert [found.file_id for found in again.files.search(ann, "vicunas")] == [file.id]
    assert again.messages.path(ann, chat.id).entries[-1].outcome == "broken"
    assert (again.under_way.mend(), again.finding.mend(), again.files.mend()) == (0, 0, 0)
    restored.close()


def test_an_import_that_is_killed_leaves_no_file(store: Store, url: str) -> None:
    """Its files are kept one by one, and its conversations after them."""
    ann, bob = person(store, "ann"), person(store, "bob")
    assistant = Assistant(store)
    chat = assistant.conversations.create(ann, title="Herds")
    assistant.messages.say(ann, chat.id, None, "Where do alpacas graze?")
    assistant.files.add(ann, "herd.txt", b"The herd of vicunas grazes on the plateau.")
    archive = b"".join(assistant.bundles.pack(ann))
    died = multiprocessing.get_context("spawn").Process(target=_import, args=(url, bob, archive))
    died.start()
    died.join()
    assert died.exitcode == 9
    assert [file.name for file in assistant.files.list(bob)] == ["herd.txt"]
    assistant.mend()
    assert assistant.files.list(bob) == []
    assert len(assistant.files.list(ann)) == 1
    assert assistant.bundles.bring(bob, io.BytesIO(archive)).files == 1
    assistant.mend()
    assert len(assistant.files.list(bob)) == 1


def _import(url: str, owner: Owner, archive: bytes) -> None:
    """Die between the files and the conversations."""
    assistant = Assistant(Store.open(url))
    assistant.archive.keep = lambda *_: os._exit(9)  # type: ignore[method-assign]
    assistant.bundles.bring(owner, io.BytesIO(archive))
