"""Progress bars on stderr, for a person who waits.

In: how much is done, of how much.  Out: a bar that vanishes when it is done, or
nothing where stderr is not a terminal.  Does not know what is being done.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from time import monotonic
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from rich.progress import ProgressColumn

MOMENT_S = 0.5
Progress = Callable[[int, int | None], None]  # done, and in all if known


def bytes_bar(title: str) -> AbstractContextManager[Progress]:
    """A bar in megabytes, with speed and time left; what is done in a moment shows none."""
    from rich.progress import DownloadColumn, TimeRemainingColumn, TransferSpeedColumn

    return _bar(
        title, DownloadColumn(), TransferSpeedColumn(), TimeRemainingColumn(), after_s=MOMENT_S
    )


def tokens_bar(title: str) -> AbstractContextManager[Progress]:
    """A bar in tokens, with the time left."""
    from rich.progress import MofNCompleteColumn, TextColumn, TimeRemainingColumn

    return _bar(title, MofNCompleteColumn(), TextColumn("tokens"), TimeRemainingColumn())


class PromptBar(ExitStack):
    """A bar for a prompt that takes more than one step to read; gone before the answer begins."""

    def __enter__(self) -> Self:
        self._report: Progress | None = None
        return super().__enter__()

    def __call__(self, done: int, total: int | None) -> None:
        """Show that `done` of `total` prompt tokens are read."""
        if done == total:
            self.close()
            self._report = None
        elif self._report is None:
            self._report = self.enter_context(tokens_bar("Reading"))
        if self._report is not None:
            self._report(done, total)


@contextmanager
def _bar(title: str, *columns: ProgressColumn, after_s: float = 0.0) -> Iterator[Progress]:
    from rich.console import Console
    from rich.progress import BarColumn, TextColumn
    from rich.progress import Progress as Bar

    console = Console(stderr=True)
    if not console.is_terminal:
        yield lambda _done, _total: None
        return
    bar = Bar(
        TextColumn("{task.description}"),
        BarColumn(),
        *columns,
        console=console,
        transient=True,
    )
    task, begun = bar.add_task(title, total=None), monotonic()

    def report(done: int, total: int | None) -> None:
        bar.update(task, completed=done, total=total)
        if monotonic() - begun > after_s:
            bar.start()

    try:
        yield report
    finally:
        bar.stop()
