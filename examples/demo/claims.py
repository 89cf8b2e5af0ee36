"""Claims: what the demonstration says is so, checked as it is said."""

from __future__ import annotations

from rich.console import Console


class ClaimError(Exception):
    """Something that was claimed is not so."""


class Claims:
    """Prints steps and claims; the first claim that does not hold ends the demonstration."""

    def __init__(self, console: Console) -> None:
        self.console = console
        self.checked = 0
        self._steps = 0

    def step(self, title: str) -> None:
        """Begin the next part of the story."""
        self._steps += 1
        self.console.print(f"\n[bold cyan]{self._steps}. {title}[/]")

    def hold(self, claim: str, truth: bool, found: object = "") -> None:
        """Print a claim that is so; raise ClaimError with what was found for one that is not."""
        if not truth:
            raise ClaimError(f"{claim}: not so, found {found!r}")
        self.checked += 1
        self.console.print(f"   [green]✔[/] {claim}")

    def show(self, text: str) -> None:
        """Print output of a command, indented."""
        for line in text.rstrip().splitlines():
            self.console.print(f"   {line}", markup=False, style="dim", overflow="ellipsis", no_wrap=True)
