"""What programs assigned to registers of searches, kept outside of the system under test, and what must be left of it.

Every value is said once in a world. A program replaces what it sees; so once all machines agree, a value that a running
process assigned is there unless anybody saw and replaced it, and nothing is there that a running process replaced. Of a
process that crashed nobody knows what it had given away, so its word may count or not.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection
from dataclasses import dataclass

from crdtgraph import Graph, Search
from crdtgraph.searches.plane import PREFIX
from simulations.checkers import ViolationError


@dataclass(frozen=True, slots=True)
class _Said:
    writer: int
    value: bytes | None
    replaced: frozenset[bytes]


class Assignments:
    """What was assigned in all searches of one world, by plane and key."""

    def __init__(self) -> None:
        self._said: defaultdict[tuple[str, str], list[_Said]] = defaultdict(list)

    def assign(self, search: Search, writer: int, key: str, value: bytes | None) -> None:
        """A program sets a register, or removes its value."""
        self._said[search.plane, key].append(_Said(writer, value, frozenset(search.values(key))))
        search.assign(key, value)

    def check(self, name: str, graph: Graph, running: Collection[int]) -> None:
        """Whether the registers of a graph are what was assigned, `running` being the writers that still run.

        Only once all have given away what they have. Raises ViolationError.
        """
        open_planes = {PREFIX + search: search for search in graph.searches()}
        for (plane, key), said in self._said.items():
            if plane not in open_planes:
                continue
            shown = set(graph.search(open_planes[plane]).values(key))
            where = f"{name} has {_text(shown)} as {key!r} of {plane!r}"
            missing = {each.value for each in said if each.writer in running and each.value is not None} - shown
            lost = missing.difference(*(each.replaced for each in said))
            if lost:
                raise ViolationError("no value is lost that nobody replaced", f"{where}, and not {_text(lost)}")
            back = shown.intersection(*[set().union(*(each.replaced for each in said if each.writer in running))])
            if back:
                raise ViolationError("what was replaced does not come back", f"{where}; {_text(back)} was replaced")
            made = shown - {each.value for each in said}
            if made:
                raise ViolationError("values are what was assigned", f"{where}; nobody said {_text(made)}")


def _text(values: Collection[bytes | None]) -> str:
    return ", ".join(sorted(value.hex()[:12] for value in values if value is not None)) or "nothing"
