"""A process whose disk fails at its Nth call: what it was promised, and what is there.

In: a database, a call, an error, a number.  Out: counts.  strace makes the kernel's answer.
"""

from __future__ import annotations

import shutil
import subprocess
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path

from sqlalchemy import text

from puna.accounts import Ledger, Store
from puna.errors import StoreError
from tests.accounts.world import check_books
from tests.accounts.writer import CONTEXT

RECOVERY_S = 20.0  # for PostgreSQL, which starts anew


@dataclass(frozen=True)
class Fault:
    """One of these system calls gets this error, the Nth."""

    calls: str
    error: str
    number: int


@dataclass(frozen=True)
class Ran:
    """What a process was told: writes promised, writes refused, and whether its start was."""

    promised: int
    refused: int
    start_refused: bool = False


SQLITE_FAULTS = (
    ("fsync,fdatasync", "EIO"),
    ("fsync,fdatasync", "ENOSPC"),
    ("pwrite64", "EIO"),
    ("pwrite64", "ENOSPC"),
    ("openat", "EMFILE"),
)
POSTGRES_FAULTS = (("pwrite64", "ENOSPC"), ("pwrite64", "EIO"))


def check_sqlite_disk(folder: Path, numbers: Iterable[int], credits: int = 40) -> int:
    """Fail each Nth call of every kind; returns how many runs noticed it."""
    template, path = folder / "template.db", folder / "failing.db"
    Store.open(f"sqlite:///{template}").close()
    noticed = 0
    for number in numbers:
        for calls, error in SQLITE_FAULTS:
            path.write_bytes(template.read_bytes())
            ran = run_failing(path, Fault(calls, error, number), credits)
            check_ran(path, ran)
            # One call failed: at most one write was refused, and the process went on by itself.
            assert ran.refused <= 1, (calls, error, number, ran)
            assert ran.start_refused or ran.promised + ran.refused == credits
            noticed += ran.start_refused or ran.refused > 0
    assert noticed > 0
    return noticed


def run_failing(path: Path, fault: Fault, credits: int) -> Ran:
    """Let a process write so many credits to an SQLite file while one of its calls fails."""
    ours, theirs = CONTEXT.Pipe()
    writer = CONTEXT.Process(target=_write, args=(f"sqlite:///{path}", credits, theirs))
    writer.start()
    theirs.close()
    with failing(int(writer.pid or 0), fault, (path, Path(f"{path}-journal"), path.parent)):
        ours.send("begin")
        ran: Ran = ours.recv()
    writer.join()
    ours.close()
    return ran


def check_ran(path: Path, ran: Ran) -> None:
    """Everything promised is there, and at most what was refused beside it."""
    store = Store.open(f"sqlite:///{path}")
    credited = Ledger(store).balance("owner").credited_micros
    assert ran.promised <= credited <= ran.promised + ran.refused, (ran, credited)
    check_books(store)
    store.close()


def check_postgres_disk(url: str, numbers: Iterable[int], credits: int = 30) -> int:
    """Fail the Nth write of a PostgreSQL process; returns how many runs noticed it."""
    noticed = 0
    for number in numbers:
        for calls, error in POSTGRES_FAULTS:
            store = Store.open(url)
            ledger = Ledger(store)
            before = ledger.balance("owner").credited_micros
            with store.read() as session:
                backend = session.scalar(text("SELECT pg_backend_pid()"))
            with failing(int(backend or 0), Fault(calls, error, number)):
                ran = _credit(ledger, credits)
            credited = _patiently_credited(ledger) - before
            assert ran.promised <= credited <= ran.promised + ran.refused, (number, ran, credited)
            check_books(store)
            store.close()
            noticed += ran.refused > 0
    assert noticed > 0
    return noticed


@contextmanager
def failing(pid: int, fault: Fault, paths: Iterable[Path] = ()) -> Iterator[None]:
    """Let a running process's Nth call fail, on these files or on any."""
    tracer = shutil.which("strace")
    assert tracer, "strace, which makes a call fail, is not on this machine"
    inject = f"inject={fault.calls}:error={fault.error}:when={fault.number}"
    only = [one for path in paths for one in ("-P", str(path))]
    command = [tracer, "-f", "-p", str(pid), "-qq", "-o", "/dev/null", *only]
    tracing = subprocess.Popen([*command, "-e", f"trace={fault.calls}", "-e", inject])
    while "TracerPid:\t0" in Path(f"/proc/{pid}/status").read_text():
        assert tracing.poll() is None, "strace may not trace other processes here"
        time.sleep(0.002)
    try:
        yield
    finally:
        tracing.terminate()
        tracing.wait()


def _write(url: str, credits: int, line: Connection) -> None:
    line.recv()
    try:
        store = Store.open(url)
    except StoreError:
        line.send(Ran(0, 0, start_refused=True))
        return
    ran = _credit(Ledger(store), credits)
    store.close()
    line.send(ran)


def _credit(ledger: Ledger, credits: int) -> Ran:
    promised = refused = 0
    for _ in range(credits):
        try:
            ledger.credit("owner", 1)
            promised += 1
        except StoreError:
            refused += 1
            time.sleep(0.05)  # PostgreSQL starts anew
    return Ran(promised, refused)


def _patiently_credited(ledger: Ledger) -> int:
    """Return what is credited, once the database answers again."""
    deadline = time.monotonic() + RECOVERY_S
    while True:
        try:
            return ledger.balance("owner").credited_micros
        except StoreError:
            assert time.monotonic() < deadline
            time.sleep(0.05)
