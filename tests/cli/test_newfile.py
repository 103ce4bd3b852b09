"""What a person has written to a file is whole or not there, and nothing else is lost for it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from puna.cli.newfile import typed_path, write_beside, write_new
from puna.errors import ConflictError, InvalidParameterError
from tests.cli.conftest import environment

WRITES = "import sys, pathlib; from puna.cli.newfile import write_beside; "


def test_a_name_that_is_taken_gets_a_number(tmp_path: Path) -> None:
    paths = [write_beside(tmp_path / "talk.md", f"talk {number}") for number in range(3)]
    assert [path.name for path in paths] == ["talk.md", "talk-2.md", "talk-3.md"]
    assert [path.read_text() for path in paths] == ["talk 0", "talk 1", "talk 2"]


def test_many_at_once_lose_nothing(tmp_path: Path) -> None:
    texts = {f"talk {number}" for number in range(20)}
    threads = [threading.Thread(target=write_beside, args=(tmp_path / "t", text)) for text in texts]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {path.read_text() for path in tmp_path.iterdir()} == texts


def test_a_link_that_leads_nowhere_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "talk.md").symlink_to(tmp_path / "elsewhere")
    assert write_beside(tmp_path / "talk.md", "talk").name == "talk-2.md"
    assert not (tmp_path / "elsewhere").exists()


def test_a_name_that_must_be_the_one_is_refused_where_it_is_taken(tmp_path: Path) -> None:
    path = tmp_path / "invoice.html"
    write_new(path, "first")
    with pytest.raises(ConflictError, match=r"invoice.html is there already; name another"):
        write_new(path, "second")
    assert path.read_text() == "first"


def test_a_folder_is_no_file(tmp_path: Path) -> None:
    with pytest.raises(InvalidParameterError, match="is a folder; name a file in it"):
        write_beside(tmp_path, "talk")


def test_a_disk_that_fills_up_leaves_no_half(tmp_path: Path) -> None:
    """A limit on the length of files stands in for the disk: writing fails in the same place."""
    path = tmp_path / "talk.md"
    limited = "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000)); "
    quiet = "import signal; signal.signal(signal.SIGXFSZ, signal.SIG_IGN); "
    writes = f"{WRITES}write_beside(pathlib.Path(sys.argv[1]), 'x' * 100_000)"
    done = subprocess.run(
        [sys.executable, "-c", limited + quiet + writes, str(path)],
        env=environment(tmp_path),
        capture_output=True,
        text=True,
        check=False,
    )
    assert "File too large" in done.stderr
    assert not list(tmp_path.iterdir())


def test_ctrl_c_leaves_no_half(tmp_path: Path) -> None:
    """A text that takes long to write is interrupted once its beginning is in the file."""
    path = tmp_path / "talk.md"
    writes = f"{WRITES}write_beside(pathlib.Path(sys.argv[1]), 'x' * 10**8)"
    process = subprocess.Popen(
        [sys.executable, "-c", writes, str(path)],
        env=environment(tmp_path),
        stderr=subprocess.DEVNULL,
        preexec_fn=_heed_ctrl_c,  # noqa: PLW1509 (no thread holds a lock here)
    )
    while not (path.exists() and path.stat().st_size):
        assert process.poll() is None
    process.send_signal(signal.SIGINT)
    assert process.wait(60) == -signal.SIGINT
    assert not list(tmp_path.iterdir())


def _heed_ctrl_c() -> None:
    """A suite that runs in the background ignores it."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


@pytest.mark.parametrize(
    ("typed", "path"),
    [
        ("'my talk.md'", Path("my talk.md")),
        ("~/talk.md", Path.home() / "talk.md"),
        ("~nobody-of-this-name/x", Path("~nobody-of-this-name/x")),
    ],
)
def test_a_path_is_read_as_a_shell_reads_it(typed: str, path: Path) -> None:
    assert typed_path(typed) == path
    assert os.fspath(typed_path("a b")) == "a b"
