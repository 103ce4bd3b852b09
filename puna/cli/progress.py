"""Progress bars on stderr, for a person who waits.

In: how much is done, of how much.  Out: a bar that vanishes when it is done, or
nothing where stderr is not a terminal.  Does not know what is being done.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.progress import ProgressColumn

Progress = Callable[[int, int | None], None]  # done, and in all if known


def bytes_bar(title: str) -> AbstractContextManager[Progress]:
    """A bar in megabytes, with speed and time left."""
    from rich.progress import DownloadColumn, TimeRemainingColumn, TransferSpeedColumn

    return _bar(title, DownloadColumn(), TransferSpeedColumn(), TimeRemainingColumn())


def tokens_bar(title: str) -> AbstractContextManager[Progress]:
    """A bar in tokens, with the time left."""
    from rich.progress import MofNCompleteColumn, TextColumn, TimeRemainingColumn

    return _bar(title, MofNCompleteColumn(), TextColumn("tokens"), TimeRemainingColumn())


@contextmanager
def _bar(title: str, *columns: ProgressColumn) -> Iterator[Progress]:
    from rich.console import Console
    from rich.progress import BarColumn, TextColumn
    from rich.progress import Progress as Bar

    console = Console(stderr=True)
    bar = Bar(
        TextColumn("{task.description}"),
        BarColumn(),
        *columns,
        console=console,
        transient=True,
        disable=not console.is_terminal,
    )
    with bar:
        task = bar.add_task(title, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)
