"""Replicas watched until they are equal: a look every few seconds, a line whenever something has changed.

A node that cannot be reached is news like any other, and is looked for again: whoever watches a split wants to see its
end.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass

from cli.context import Access
from cli.diverging.report import Report, examine
from cli.places import open_places
from cli.render import moment, paint, printable
from cli.units import size

COLUMNS = ("time_us", "equal", "unreachable", "union", "replicas", "refs", "conflicts", "bytes")


@dataclass(frozen=True, slots=True)
class Look:
    """What was seen at one time: a report, or why there is none."""

    time_us: int
    digests: tuple[str, ...]
    report: Report | None
    failure: str = ""

    @property
    def equal(self) -> bool:
        """Whether all could be looked at and have one digest."""
        return self.report is not None and self.report.found.equal


def looks(given: Sequence[str], every_s: float, sleep: Callable[[float], object] = time.sleep) -> Iterator[Look]:
    """One look after the other, the last one when all are equal."""
    last: Look | None = None
    while last is None or not last.equal:
        if last is not None:
            sleep(every_s)
        last = _look(given, last)
        yield last


def changed(seen: Iterator[Look]) -> Iterator[Look]:
    """Those in which something is not as it was in the one before."""
    last: tuple[tuple[str, ...], str] | None = None
    for look in seen:
        if (look.digests, look.failure) != last:
            yield look
        last = look.digests, look.failure


def line(look: Look) -> str:
    """What was seen, on one line."""
    when = moment(look.time_us)
    if look.report is None:
        return f"{when}  {paint('unreachable', 'conflict')}  {printable(look.failure)}"
    found, report = look.report.found, look.report
    parts = [when, "equal " if found.equal else "differ"]
    for place, name in enumerate(report.names):
        behind = found.scattered.behind[place]
        parts.append(f"{name} {found.commits[place]}" + (f" (-{behind})" if behind else ""))
    if found.refs:
        conflicts = sum(len(ref.healed) > 1 for ref in found.refs)
        parts.append(f"refs {len(found.refs)}" + (f", in conflict {conflicts}" if conflicts else ""))
    if not found.settled:
        parts.append(f"to carry {size(sum(lack.bytes for lack in report.lacking))}")
    return "  ".join(parts)


def document(look: Look) -> dict[str, object]:
    """The same for a program."""
    report = look.report
    found = None if report is None else report.found
    return {
        "time_us": look.time_us,
        "equal": look.equal,
        "unreachable": look.failure or None,
        "union": None if found is None else found.union,
        "replicas": []
        if report is None or found is None
        else [
            {
                "place": place.given,
                "commits": found.commits[number],
                "behind": found.scattered.behind[number],
                "digest": found.digests[number],
            }
            for number, place in enumerate(report.places)
        ],
        "refs": None if found is None else len(found.refs),
        "conflicts": None if found is None else sum(len(ref.healed) > 1 for ref in found.refs),
        "bytes": None if report is None else sum(lack.bytes for lack in report.lacking),
    }


def at_once(items: Iterator[dict[str, object]]) -> Iterator[dict[str, object]]:
    """The items, each printed before the next one is waited for."""
    for item in items:
        yield item
        sys.stdout.flush()


def _look(given: Sequence[str], last: Look | None) -> Look:
    from cli.copies import graph_in_process
    from crdtgraph.errors import UnreachableError

    now_us = time.time_ns() // 1_000
    try:
        with open_places(given, Access.READ) as places, ExitStack() as stack:
            digests = tuple(place.digest for place in places)
            if last is not None and last.report is not None and last.digests == digests:
                return Look(now_us, digests, last.report)
            graphs = [stack.enter_context(graph_in_process(place.backend)) for place in places]
            report = examine(places, graphs)
            # As compared: they may have gone on since they were asked.
            return Look(now_us, tuple(digest.hex() for digest in report.found.digests), report)
    except UnreachableError as error:
        return Look(now_us, (), None, error.message)
