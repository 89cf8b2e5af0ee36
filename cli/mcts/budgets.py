"""The budget of a search as it is typed: `10000`, `30s`, `stable:500`, or several of them with commas between."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from crdtgraph.mcts import Budget

UNITS_S = {"ms": 0.001, "s": 1.0, "m": 60.0, "min": 60.0, "h": 3_600.0}
_TIME = re.compile(r"([0-9]+(?:\.[0-9]+)?)\s*(ms|s|m|min|h)")
_COUNT = re.compile(r"[0-9_]+")
_STABLE = re.compile(r"stable:([0-9_]+)")
HINT = "give 10000 (iterations), 30s, 5m, stable:500 (the best move has settled), or several: 10000,30s"


@dataclass(frozen=True, slots=True)
class TypedBudget:
    """A budget before anything heavy is imported; see `crdtgraph.mcts.Budget`."""

    iterations: int | None = None
    seconds: float | None = None
    stable: int | None = None

    def budget(self) -> Budget:
        """The budget itself; raises LocalError for one of zero."""
        from crdtgraph.mcts import Budget

        return Budget(iterations=self.iterations, seconds=self.seconds, stable=self.stable)


class BudgetType(click.ParamType[TypedBudget]):
    """The type of `--budget`."""

    name = "budget"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> TypedBudget:
        """Read a budget; a usage error says which part cannot be read."""
        if isinstance(value, TypedBudget):
            return value
        found: dict[str, float] = {}
        for part in str(value).split(","):
            kind, number = self._part(part.strip(), param, ctx)
            if kind in found:
                self.fail(f"{part.strip()!r}: a limit on {kind} was given before", param, ctx)
            if not number:
                self.fail(f"{part.strip()!r} is a budget of nothing; {HINT}", param, ctx)
            found[kind] = number
        count, stable = (found.get(kind) for kind in ("iterations", "stable"))
        return TypedBudget(
            None if count is None else int(count), found.get("seconds"), None if stable is None else int(stable)
        )

    def _part(self, text: str, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, float]:
        if time := _TIME.fullmatch(text):
            return "seconds", float(time[1]) * UNITS_S[time[2]]
        stable = _STABLE.fullmatch(text)
        digits = stable[1] if stable else text
        # Above it is no number that a search would ever reach, and reading one of a million digits takes its time.
        if _COUNT.fullmatch(digits) and digits.strip("_") and len(digits) <= 18:
            return "stable" if stable else "iterations", int(digits.replace("_", ""))
        raise click.BadParameter(f"{text!r} is no budget; {HINT}", ctx, param)
