"""How a long fetch says where it stands.

In: bytes done and bytes in all, if known.  Out: nothing.  Does not know how it is shown.
"""

from __future__ import annotations

from collections.abc import Callable

Progress = Callable[[int, int | None], None]


def ignore(done_bytes: int, total_bytes: int | None) -> None:
    """The progress of whoever does not watch."""


def part_of(progress: Progress, before_bytes: int, total_bytes: int) -> Progress:
    """One file's progress as a part of several files', `before_bytes` of which are done."""
    return lambda done_bytes, _: progress(before_bytes + done_bytes, total_bytes)
