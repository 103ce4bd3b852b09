"""A disk without room: the write is refused by name, and nothing promised is lost."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from puna.accounts import Ledger, Store
from tests.accounts.disks import Fault, Ran, check_ran, run_failing
from tests.accounts.world import check_books
from tests.sqlite import new_url

# The kernel stops this process's files at a size: the same errors as a disk that is full.
WRITER = """
import json, resource, signal, sys
from puna.accounts import Ledger, Store
from puna.errors import StoreError

url, most_bytes = sys.argv[1], int(sys.argv[2])
store = Store.open(url)
ledger = Ledger(store)
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
room = resource.getrlimit(resource.RLIMIT_FSIZE)
resource.setrlimit(resource.RLIMIT_FSIZE, (most_bytes, room[1]))
promised, refusals = 0, []
while len(refusals) < 3:
    try:
        ledger.credit("owner", 1, note="x" * 400)
        promised += 1
    except StoreError as error:
        refusals.append(str(error))
resource.setrlimit(resource.RLIMIT_FSIZE, room)
ledger.credit("owner", 1)
promised += 1
print(json.dumps([promised, refusals]))
store.close()
"""


@pytest.mark.parametrize("spare_bytes", [0, 20_480])
def test_a_full_disk_is_told_and_loses_nothing(folder: Path, spare_bytes: int) -> None:
    url, path = new_url(folder), folder / "puna.db"
    command = [sys.executable, "-c", WRITER, url]
    most_bytes = path.stat().st_size + spare_bytes
    done = subprocess.run([*command, str(most_bytes)], capture_output=True, text=True, check=True)
    promised, refusals = json.loads(done.stdout)
    assert all("nothing of it is promised" in refusal for refusal in refusals)
    store = Store.open(url)
    assert Ledger(store).balance("owner").credited_micros == promised
    check_books(store)
    store.close()


@pytest.mark.skipif(shutil.which("strace") is None, reason="strace makes a call fail")
@pytest.mark.parametrize(
    "fault",
    [
        Fault("fsync,fdatasync", "EIO", 3),
        Fault("fsync,fdatasync", "EIO", 5),
        Fault("pwrite64", "ENOSPC", 3),
        Fault("openat", "EMFILE", 3),
    ],
    ids=str,
)
def test_a_disk_that_fails_once_loses_nothing_promised_and_is_written_again(
    folder: Path, fault: Fault
) -> None:
    """The fifth flush fails when all is written: then it is kept, though nothing was promised."""
    new_url(folder)
    path = folder / "puna.db"
    ran = run_failing(path, fault, 6)
    assert ran == Ran(5, 1)
    check_ran(path, ran)
