"""Running one world while people watch: a bar, Ctrl-C, and a report whose place is sure before the run begins."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from cli.failures import ExitCode, StoppedError
from cli.progress import progress_bar
from simulations.page.paper import seconds
from simulations.runner import Outcome, run
from simulations.scenario import Scenario

LINES_KEPT = 2_000


def watched(seed: int, scenario: Scenario, *, all_lines: bool = False) -> Outcome:
    """Run a world with a bar that shows its time; StoppedError, with how far it came, at Ctrl-C."""
    reached_s = 0.0
    with progress_bar(scenario.name or "running") as bar:

        def progress(now_s: float) -> None:
            nonlocal reached_s
            reached_s = now_s
            over_s = now_s - scenario.duration_s
            note = "simulated s" if over_s <= 0 else f"mended, no agreement for {seconds(over_s)}"
            bar(min(now_s, scenario.duration_s), scenario.duration_s, note)

        with interrupted(lambda: f"stopped after {reached_s:.1f} of {scenario.duration_s:g} simulated s"):
            return run(seed, scenario, lines_kept=None if all_lines else LINES_KEPT, observe=True, progress=progress)


@contextmanager
def interrupted(message: Callable[[], str]) -> Iterator[None]:
    """Turn Ctrl-C in the block into an orderly end that says what was done so far."""
    try:
        yield
    except KeyboardInterrupt:
        raise StoppedError(message(), ExitCode.INTERRUPTED) from None
    except BaseExceptionGroup as failures:
        # It ends the tasks of a world like any exception, and comes out among what they made of it.
        if failures.subgroup(KeyboardInterrupt) is None:
            raise
        raise StoppedError(message(), ExitCode.INTERRUPTED) from None


@contextmanager
def promised(path: str | None) -> Iterator[Callable[[str], None]]:
    """Yield a function that writes a file; whether the file can be written is known when the block begins.

    Nothing is left of a file that was not there before and was not written in the block. Raises OSError.
    """
    if path is None:
        yield lambda _: None
        return
    file = Path(path)
    is_new = not file.exists()
    file.open("a", encoding="utf-8").close()
    is_written = False

    def write(text: str) -> None:
        nonlocal is_written
        file.write_text(text, encoding="utf-8")
        is_written = True

    try:
        yield write
    finally:
        if is_new and not is_written:
            file.unlink()
