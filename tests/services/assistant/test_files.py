"""Files on both databases: kept, searched by words and by meaning, within limits, deleted."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from puna.accounts.store import Store
from puna.errors import NotFoundError, RoomError
from puna.services.assistant.conversations import Conversations
from puna.services.assistant.files import FileLimits, Files, file_name
from tests.services.assistant.conftest import person
from tests.services.assistant.pdf import pdf

FILLER = "The weather in the valley is mild and the harvest was good this year. " * 20
HANDBOOK = (
    f"# Leave\n{FILLER}\n# Notice\nThe notice period for drivers is six weeks.\n# Other\n{FILLER}\n"
)


def test_a_file_is_kept_as_it_came_and_its_passages_found(store: Store) -> None:
    ann, files = person(store, "ann"), Files(store)
    kept = files.add(ann, "handbook.md", HANDBOOK.encode())
    files.add(
        ann, "lease.pdf", pdf([FILLER[:80]], ["Pets are allowed.", "Rent is due on Mondays."])
    )
    assert files.content(ann, kept.id) == HANDBOOK.encode()
    [first, *_] = files.search(ann, "What is the notice period of a driver?")
    assert (first.name, first.passage.heading) == ("handbook.md", "Notice")
    assert "six weeks" in first.passage.text
    [pets, *_] = files.search(ann, "are pets allowed")
    assert (pets.name, pets.passage.place.shown()) == ("lease.pdf", "page 2, lines 1-2")
    opened = files.passage(ann, pets.file_id, pets.passage.ordinal)
    assert opened == pets


def test_a_search_stays_in_the_files_that_were_named(store: Store) -> None:
    ann, files = person(store, "ann"), Files(store)
    one = files.add(ann, "one.txt", b"apples are red")
    two = files.add(ann, "two.txt", b"apples are green")
    found = files.search(ann, "apple", file_ids=[two.id])
    assert [f.file_id for f in found] == [two.id]
    assert {f.file_id for f in files.search(ann, "apple")} == {one.id, two.id}
    assert files.search(ann, "zebra") == files.search(ann, "…") == []


def test_another_persons_file_does_not_exist(store: Store) -> None:
    ann, bob, files = person(store, "ann"), person(store, "bob"), Files(store)
    chat = Conversations(store).create(bob)
    kept = files.add(ann, "one.txt", b"apples are red")
    assert files.search(bob, "apples") == files.search(bob, "apples", file_ids=[kept.id]) == []
    assert files.beginning(bob, [kept.id]) == []
    assert files.list(bob) == []
    for attempt in (
        lambda: files.get(bob, kept.id),
        lambda: files.content(bob, kept.id),
        lambda: files.passage(bob, kept.id, 1),
        lambda: files.attach(bob, [kept.id], chat.id),
        lambda: files.delete(bob, kept.id),
    ):
        with pytest.raises(NotFoundError):
            attempt()


def test_a_person_may_keep_so_many_files_and_bytes(store: Store) -> None:
    ann = person(store, "ann")
    files = Files(store, FileLimits(files=2, bytes_in_all=1000))
    first = files.add(ann, "a.txt", b"a" * 600)
    with pytest.raises(RoomError, match="delete others"):
        files.add(ann, "b.txt", b"b" * 600)
    files.add(ann, "c.txt", b"c")
    with pytest.raises(RoomError, match="2 files"):
        files.add(ann, "d.txt", b"d")
    assert (files.kept(ann).files, files.kept(ann).n_bytes) == (2, 601)
    files.delete(ann, first.id)
    assert files.search(ann, "a" * 64) == []
    files.add(ann, "d.txt", b"d")


def test_the_same_file_is_kept_once(lite: Store) -> None:
    ann, files = person(lite, "ann"), Files(lite)
    assert files.add(ann, "a.txt", b"same") == files.add(ann, "a.txt", b"same")
    assert files.add(ann, "b.txt", b"same").name == "b.txt"
    assert len(files.list(ann)) == 2


class Colours:
    """Knows which words mean colours: a vector of red and blue."""

    def embed(self, texts: Sequence[str]) -> Sequence[Sequence[float]]:
        return [
            (float("crimson" in t or "red" in t), float("azure" in t or "blue" in t)) for t in texts
        ]


def test_meaning_finds_what_words_do_not(store: Store) -> None:
    ann = person(store, "ann")
    files = Files(store, embedder=Colours())
    files.add(ann, "a.txt", b"a crimson coat")
    files.add(ann, "b.txt", b"an azure sky")
    assert files.search(ann, "something blue")[0].name == "b.txt"
    assert Files(store).search(ann, "something blue") == []


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("../../etc/passwd.txt", "passwd.txt"),
        ("C:\\docs\\a.md", "a.md"),
        ("a\nb\x00.txt", "ab.txt"),
        ("", "file"),
        ("x" * 300 + ".pdf", "x" * 196 + ".pdf"),
    ],
)
def test_a_name_has_no_folders_and_no_controls(given: str, kept: str) -> None:
    assert file_name(given) == kept
