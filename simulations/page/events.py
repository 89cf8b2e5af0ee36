"""An event of a timeline in words: few for a label, all for those who point at it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import assert_never

import msgspec

from simulations import timeline
from simulations.page.paper import seconds
from simulations.timeline import AnyEvent

LABEL_MAX = 40


def is_deed(event: AnyEvent) -> bool:
    """Whether it is work that is ordered and no fault."""
    return isinstance(event, timeline.Do | timeline.ImportGit)


def describe(event: AnyEvent) -> str:
    """What happens and to whom, in a few words."""
    match event:
        case timeline.Partition(groups=groups):
            words = f"partition {' | '.join(names(group) for group in groups)}"
        case timeline.OneWayCut(source=source, target=target):
            words = f"cut {source} → {target}"
        case timeline.Flapping(between=(one, other)):
            words = f"flapping {one} ↔ {other}"
        case timeline.ClockJump(node=node, by_s=by_s):
            words = f"clock of {node} {seconds(abs(by_s))} {'ahead' if by_s >= 0 else 'back'}"
        case timeline.Do(operation=operation, count=count, nodes=nodes):
            words = f"{operation}{f' {count:,} times' if count > 1 else ''} on {names(nodes)}"
        case timeline.ImportGit(node=node, commits=commits):
            words = f"import of {commits:,} on {node}"
        case (
            timeline.Reset()
            | timeline.Stall()
            | timeline.Kill()
            | timeline.PowerLoss()
            | timeline.CrashInWrite()
            | timeline.Restart()
            | timeline.Pause()
            | timeline.Starvation()
            | timeline.DiskErrors()
            | timeline.DiskFull()
            | timeline.Backup()
            | timeline.Join()
        ):
            words = f"{event.kind} {event.node}"
        case _:
            assert_never(event)
    return words if len(words) <= LABEL_MAX else words[: LABEL_MAX - 1] + "…"


def details(event: AnyEvent) -> str:
    """When it happens, and everything else that the scenario says of it."""
    said = msgspec.to_builtins(event)
    lasts = event.until_s > event.at_s
    when = f"{seconds(event.at_s)} to {seconds(event.until_s)}" if lasts else f"at {seconds(event.at_s)}"
    rest = [f"{name} = {_plain(value)}" for name, value in said.items() if name not in ("event", "at_s", "for_s")]
    return ", ".join([when, *rest])


def names(machines: Sequence[str]) -> str:
    """The names of machines, three and more in a row as from-to."""
    runs: list[list[str]] = []
    for name in machines:
        if runs and name == f"n{int(runs[-1][-1][1:]) + 1}":
            runs[-1].append(name)
        else:
            runs.append([name])
    words = [f"{run[0]}-{run[-1]}" if len(run) > 2 else " ".join(run) for run in runs]
    return " ".join(words)


def _plain(value: object) -> str:
    if isinstance(value, list | tuple):
        return " | ".join(map(_plain, value)) if any(isinstance(each, list | tuple) for each in value) else names(value)
    return f"{value:g}" if isinstance(value, float) else str(value)
