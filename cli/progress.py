"""A progress bar on standard error, for people: nothing at all where nobody watches."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from cli.render import print_lines, printable

if TYPE_CHECKING:
    from collections.abc import Iterable

    from rich.progress import Progress, TaskID


class Bar:
    """A bar that is not there."""

    def __call__(self, done: float, total: float, note: str = "") -> None:
        """Show how much is done of what there is to do in all, and a few words."""

    def say(self, line: str) -> None:
        """Tell who watches something that is worth a line of its own."""

    def print_lines(self, lines: Iterable[str]) -> None:
        """Print lines to standard output while there is a bar, and at once."""
        print_lines(lines)
        sys.stdout.flush()


class _LiveBar(Bar):
    def __init__(self, progress: Progress, task: TaskID) -> None:
        self._progress = progress
        self._task = task

    def __call__(self, done: float, total: float, note: str = "") -> None:
        self._progress.update(self._task, completed=done, total=total, note=printable(note))

    def say(self, line: str) -> None:
        self._progress.console.print(printable(line), markup=False, highlight=False, soft_wrap=True)

    def print_lines(self, lines: Iterable[str]) -> None:
        # The two streams may be one terminal, and a bar that is drawn again would overwrite what comes in between.
        self._progress.stop()
        super().print_lines(lines)
        self._progress.start()


@contextmanager
def progress_bar(title: str) -> Iterator[Bar]:
    """Yield a bar to call with what is done and what there is to do in all, while the block runs."""
    if not sys.stderr.isatty() or os.environ.get("TERM") == "dumb":
        yield Bar()
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[note]}", markup=False),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        yield _LiveBar(progress, progress.add_task(title, total=None, note=""))
