"""A disk that loses power: what it was told to keep is there, of the rest any part.

In: a program that writes a database.  Out: images of its files as a power cut may leave them, each
with what had been promised by then.  strace tells what was written, in which order, and what the
disk was told to keep.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

ROOT = Path(__file__).parents[2]  # where a program finds the tests' own modules
SECTOR_BYTES = 512  # a disk writes one whole or not at all
CALL = re.compile(r"(?:\d+ +)?(\w+)\(\d+<([^>]*)>(?:, (.*))?\) += (-?\d+)")
CALLS = "trace=write,pwrite64,ftruncate,fsync,fdatasync"


@dataclass(frozen=True)
class Change:
    """Bytes at a place of a file; or, with `data` None, its new length."""

    at: int
    data: bytes | None


@dataclass
class File:
    """What the disk surely holds of one file, and what came since."""

    kept: bytearray = field(default_factory=bytearray)
    pending: list[Change] = field(default_factory=list)

    def keep(self) -> None:
        """The disk was told to keep everything."""
        for change in self.pending:
            _apply(self.kept, change)
        self.pending.clear()

    def after_power_cut(self, random: Random) -> bytes:
        """Any part of what came since may be there: all, none, some, some of it torn."""
        left = bytearray(self.kept)
        share = random.choice((0.0, 0.5, 0.9, 1.0))
        for change in self.pending:
            if random.random() < share:
                _apply(left, _torn(change, random))
        return bytes(left)


@dataclass(frozen=True)
class Call:
    """One call of the program."""

    name: str
    file: str
    change: Change


class Recording:
    """All that a program wrote below a folder, and the lines by which it promised something."""

    def __init__(self, folder: Path, program: str, promises: str, *arguments: str) -> None:
        """Run `program` (Python), which writes its promises into the file of that name."""
        tracer = shutil.which("strace")
        assert tracer, "strace, which tells what is written, is not on this machine"
        trace = folder / "trace"
        command = [tracer, "-f", "-y", "-xx", "-s", "1000000", "-e", CALLS, "-o", str(trace)]
        program_line = [sys.executable, "-c", program, *arguments]
        subprocess.run([*command, *program_line], check=True, cwd=ROOT)
        with trace.open() as lines:
            calls = [call for line in lines if (call := _call(line, folder))]
        self.calls, self._promises = calls, promises

    def cuts(self, random: Random, times: int) -> Iterator[tuple[dict[str, bytes], list[str]]]:
        """Yield files after a power cut at a random call, and the promises made before it."""
        moments = sorted(random.randrange(1, len(self.calls) + 1) for _ in range(times))
        files: defaultdict[str, File] = defaultdict(File)
        promised: list[str] = []
        done = 0
        for moment in moments:
            for call in self.calls[done:moment]:
                self._do(call, files, promised)
            done = moment
            yield {name: file.after_power_cut(random) for name, file in files.items()}, promised

    def _do(self, call: Call, files: defaultdict[str, File], promised: list[str]) -> None:
        if call.file == self._promises:
            promised += (call.change.data or b"").decode().splitlines()
        elif call.name in ("fsync", "fdatasync"):
            files[call.file].keep()
        else:
            files[call.file].pending.append(call.change)


def _call(line: str, folder: Path) -> Call | None:
    """Read a line of the trace, if it is about a file of ours."""
    match = CALL.match(line)
    if match is None or int(match[4]) < 0:
        return None
    path = Path(_bytes(match[2]).decode())
    if path.parent != folder:
        return None
    return Call(match[1], path.name, _change(match[1], match[3] or ""))


def _bytes(text: str) -> bytes:
    return bytes.fromhex(text.replace("\\x", ""))


def _change(name: str, arguments: str) -> Change:
    if name == "ftruncate":
        return Change(int(arguments), None)
    if name in ("fsync", "fdatasync"):
        return Change(0, b"")
    data, _, rest = arguments.removeprefix('"').partition('"')
    at = int(rest.split(", ")[-1]) if name == "pwrite64" else 0
    return Change(at, _bytes(data))


def _torn(change: Change, random: Random) -> Change:
    """Now and then, the first sectors alone."""
    if change.data is None or len(change.data) <= SECTOR_BYTES or random.random() < 0.8:
        return change
    whole = random.randrange(len(change.data) // SECTOR_BYTES) * SECTOR_BYTES
    return Change(change.at, change.data[:whole])


def _apply(content: bytearray, change: Change) -> None:
    if change.data is None:
        del content[change.at :]
        content.extend(bytes(change.at - len(content)))
        return
    content.extend(bytes(max(0, change.at - len(content))))
    content[change.at : change.at + len(change.data)] = change.data
