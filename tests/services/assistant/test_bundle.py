"""Conversations travel with their files in one archive, and no archive of strangers does harm."""

from __future__ import annotations

import hashlib
import io
import json
import struct
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import pytest

from puna.accounts.store import Store
from puna.errors import InvalidParameterError, PunaError, RoomError, TooLargeError
from puna.services.assistant.assistant import Assistant
from puna.services.assistant.bundle import DOCUMENT_BYTES, FILES, Brought
from puna.services.assistant.conversations import TalkLimits
from puna.services.assistant.files import FileLimits
from puna.services.assistant.limits import Limits
from puna.services.assistant.owner import Owner
from tests.services.assistant.conftest import person
from tests.services.assistant.pdf import pdf

LEASE = pdf(["The rent is due on Mondays."])
CITED = {"number": 1, "name": "lease.pdf", "where": "page 1", "quote": "The rent is due."}


@dataclass(frozen=True)
class Kept:
    """A person who has talked about a file and keeps another."""

    owner: Owner
    conversation_id: str
    file_id: str


def settled(assistant: Assistant, owner: Owner) -> Kept:
    lease = assistant.files.add(owner, "lease.pdf", LEASE)
    assistant.files.add(owner, "Lease.PDF", pdf(["Another."]))
    chat = assistant.conversations.create(owner, title="The lease")
    assistant.files.attach(owner, [lease.id], chat.id)
    said = assistant.messages.say(owner, chat.id, None, "When is it due?", file_ids=[lease.id])
    answer = assistant.messages.open_answer(owner, chat.id, said.id, model="m")
    source = {**CITED, "file_id": lease.id}
    assistant.messages.finish(owner, answer.id, "complete", "On Mondays [1].", sources=[source])
    assistant.conversations.create(owner, title="Nothing was said")
    return Kept(owner, chat.id, lease.id)


def packed(assistant: Assistant, owner: Owner, conversation_id: str | None = None) -> bytes:
    return b"".join(assistant.bundles.pack(owner, conversation_id))


def test_everything_goes_out_and_comes_back_with_its_files(store: Store) -> None:
    assistant = Assistant(store)
    ann, bob = settled(assistant, person(store, "ann")), person(store, "bob")
    archive = packed(assistant, ann.owner)
    with zipfile.ZipFile(io.BytesIO(archive)) as opened:
        assert opened.testzip() is None
        assert set(opened.namelist()) == {
            "conversations/00001 The lease.json",
            "files/lease.pdf",
            "files/Lease (2).PDF",
            "files.json",
        }
        assert opened.read("files/lease.pdf") == LEASE
    assert assistant.bundles.bring(bob, io.BytesIO(archive)) == Brought(1, 2, 0)
    (chat,) = assistant.conversations.list(bob)
    question, answer = assistant.messages.path(bob, chat.id).entries
    (file_id,) = question.file_ids
    assert file_id != ann.file_id
    assert assistant.files.content(bob, file_id) == LEASE
    assert assistant.files.get(bob, file_id).conversation_id == chat.id
    assert answer.sources[0]["file_id"] == file_id
    assert [found.name for found in assistant.files.search(bob, "rent")] == ["lease.pdf"]
    assert len(assistant.files.list(ann.owner)) == 2


def test_one_conversation_goes_with_what_it_mentions_alone(lite: Store) -> None:
    assistant = Assistant(lite)
    ann = settled(assistant, person(lite, "ann"))
    archive = packed(assistant, ann.owner, ann.conversation_id)
    with zipfile.ZipFile(io.BytesIO(archive)) as opened:
        assert [name for name in opened.namelist() if name.startswith("files/")] == [
            "files/lease.pdf"
        ]


def test_json_alone_comes_back_without_its_files(lite: Store) -> None:
    assistant = Assistant(lite)
    ann, bob = settled(assistant, person(lite, "ann")), person(lite, "bob")
    document = json.dumps(assistant.archive.every_json(ann.owner)).encode()
    assert assistant.bundles.bring(bob, io.BytesIO(document)) == Brought(1, 0, 1)
    with pytest.raises(TooLargeError, match="16 MiB"):
        assistant.bundles.bring(bob, io.BytesIO(b" " * (DOCUMENT_BYTES + 1)))


def test_what_comes_twice_brings_the_file_that_is_there(lite: Store) -> None:
    assistant = Assistant(lite)
    ann, bob = settled(assistant, person(lite, "ann")), person(lite, "bob")
    assistant.files.add(bob, "lease.pdf", LEASE)
    archive = packed(assistant, ann.owner, ann.conversation_id)
    assert assistant.bundles.bring(bob, io.BytesIO(archive)) == Brought(1, 0, 0)
    assert len(assistant.files.list(bob)) == 1


@pytest.mark.parametrize(
    "limits",
    [
        Limits(talks=TalkLimits(n_bytes=10)),
        Limits(files=FileLimits(files=1)),
        Limits(files=FileLimits(bytes_in_all=len(LEASE))),
        Limits(import_bytes=100),
    ],
)
def test_where_there_is_no_room_nothing_comes(store: Store, limits: Limits) -> None:
    ann, bob = settled(Assistant(store), person(store, "ann")), person(store, "bob")
    archive = packed(Assistant(store), ann.owner)
    assistant = Assistant(store, limits=limits)
    with pytest.raises((RoomError, InvalidParameterError)):
        assistant.bundles.bring(bob, io.BytesIO(archive))
    check_nothing_came(assistant, bob)


def check_nothing_came(assistant: Assistant, owner: Owner) -> None:
    assert assistant.conversations.list(owner) == []
    assert assistant.files.list(owner) == []


TALK = {"format": "puna.conversation/2", "messages": [{"id": "a", "role": "user", "text": "x"}]}


def listed(*files: Mapping[str, Any]) -> str:
    return json.dumps({"format": "puna.files/1", "files": files})


def entry(path: str, data: bytes, **more: Any) -> dict[str, Any]:
    named = {"id": path, "name": "a.txt", "path": path}
    return {**named, "sha256": hashlib.sha256(data).hexdigest(), "n_bytes": len(data), **more}


def zipped(members: Mapping[str, str | bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", method) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return file.getvalue()


def hostile(members: Mapping[str, str | bytes] = MappingProxyType({})) -> bytes:
    """An archive with a sound conversation and file beside what is hostile."""
    sound = {"conversations/1.json": json.dumps(TALK), FILES: listed(entry("files/a.txt", b"x"))}
    return zipped({**sound, "files/a.txt": b"x", **members})


SLIPS = ["../../etc/cron.d/x", "/etc/passwd", "files/../../x", "..\\x", "files/sub/x", "other.txt"]


@pytest.mark.parametrize("name", SLIPS)
def test_what_the_list_does_not_name_is_refused(lite: Store, name: str) -> None:
    check_refused(lite, hostile({name: b"x"}))


@pytest.mark.parametrize("path", SLIPS)
def test_a_path_that_leads_elsewhere_is_refused(lite: Store, path: str) -> None:
    members: dict[str, str | bytes] = {
        path: b"x",
        FILES: listed(entry("files/a.txt", b"x"), entry(path, b"x")),
    }
    check_refused(lite, hostile(members))


@pytest.mark.parametrize(
    ("files", "fault"),
    [
        (listed(entry("files/a.txt", b"y")), "SHA-256"),
        (listed(entry("files/a.txt", b"x", n_bytes=2)), "length"),
        (listed(entry("files/a.txt", b"x"), entry("files/b.txt", b"x")), "not in it"),
        (listed(entry("files/a.txt", b"x"), entry("files/a.txt", b"x", id="b")), "one path"),
        (listed(entry("files/a.txt", b"x", sha256="x" * 64)), "sha256"),
        (listed(), "does not name"),
        ("{}", "format"),
        ("[", "JSON"),
    ],
)
def test_a_list_that_is_wrong_is_refused(lite: Store, files: str, fault: str) -> None:
    assert fault in check_refused(lite, hostile({FILES: files}))


def test_a_fault_in_the_last_conversation_or_file_leaves_nothing(lite: Store) -> None:
    spoilt = json.dumps({**TALK, "messages": [{"id": "a", "role": "user", "text": 7}]})
    assert "messages.0.text" in check_refused(lite, hostile({"conversations/2.json": spoilt}))
    two = listed(entry("files/a.txt", b"x"), entry("files/b.bin", b"\0"))
    check_refused(lite, hostile({FILES: two, "files/b.bin": b"\0"}))


def test_a_bomb_is_refused_before_it_goes_off(lite: Store) -> None:
    bomb = bytes(64 * 2**20)
    members: dict[str, str | bytes] = {
        FILES: listed(entry("files/a.txt", bomb)),
        "files/a.txt": bomb,
    }
    assert "32 MiB" in check_refused(lite, hostile(members))
    for name in ("conversations/2.json", FILES):
        check_refused(lite, hostile({name: bytes(20 * 2**20)}))


def test_an_archive_that_lies_about_its_lengths_is_refused(lite: Store) -> None:
    """Its list says a few bytes, the data unpack to many."""
    honest = hostile({"files/a.txt": bytes(2**20), FILES: listed(entry("files/a.txt", b"x"))})
    true, false = struct.pack("<L", 2**20), struct.pack("<L", 1)
    assert honest.count(true) >= 2
    check_refused(lite, honest.replace(true, false))


def test_thousands_of_members_are_refused_unread(lite: Store) -> None:
    many = zipped({f"conversations/{n}": b"" for n in range(20_001)}, zipfile.ZIP_STORED)
    assert "20,000 members" in check_refused(lite, many)


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_two_members_of_one_name_are_refused(lite: Store) -> None:
    file = io.BytesIO(hostile())
    with zipfile.ZipFile(file, "a") as archive:
        archive.writestr("files/a.txt", b"y")
    assert "one name" in check_refused(lite, file.getvalue())


def test_what_is_packed_or_locked_otherwise_is_refused(lite: Store) -> None:
    members = {FILES: listed(), "conversations/1.json": json.dumps(TALK)}
    assert "plain zip" in check_refused(lite, zipped(members, zipfile.ZIP_LZMA))
    locked = bytearray(zipped(members))
    for mark, at in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        start = locked.find(mark)
        locked[start + at] |= 1
    assert "encrypted" in check_refused(lite, bytes(locked))


def test_no_cut_and_no_changed_byte_breaks_it(lite: Store) -> None:
    assistant, ann = Assistant(lite), person(lite, "ann")
    sound = hostile()
    step = max(1, len(sound) // 60)
    cut = [sound[:length] for length in range(4, len(sound), step)]
    flipped = [
        sound[:at] + bytes([sound[at] ^ 0xFF]) + sound[at + 1 :]
        for at in range(4, len(sound), step)
    ]
    refused = 0
    for archive in (*cut, *flipped):
        try:
            assistant.bundles.bring(ann, io.BytesIO(archive))
        except PunaError:
            refused += 1
    assert refused > len(cut)


def check_refused(store: Store, archive: bytes) -> str:
    """Try to bring it in; returns why it was refused, and nothing was kept."""
    assistant, bob = Assistant(store), person(store, f"bob{len(archive)}_{hash(archive)}")
    with pytest.raises(PunaError) as refused:
        assistant.bundles.bring(bob, io.BytesIO(archive))
    assert "cannot be" in str(refused.value)
    assert "nothing was kept" in str(refused.value) or "read" in str(refused.value)
    check_nothing_came(assistant, bob)
    return str(refused.value)
