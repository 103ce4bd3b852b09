"""After a crash or from a restored copy: what was running is over, and every word is found."""

from __future__ import annotations

from pathlib import Path

from puna.accounts.backup import backup, restore
from puna.accounts.schema import utc_now
from puna.accounts.store import Store
from puna.services.assistant.assistant import Assistant
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
