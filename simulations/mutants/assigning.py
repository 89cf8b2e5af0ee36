"""Bugs in what is left of registers of searches when their writers compact them."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from crdtgraph.records import Assign
from crdtgraph.searches.compaction import _Kept
from simulations.mutants.planting import Change, Mutant


def _one_value_is_enough(choose_assigns: Callable[..., Iterator[None]], self: _Kept) -> Iterator[None]:
    yield from choose_assigns(self)
    for place, assign in enumerate(self._assigns):
        live = self._projection.registers.live(assign.namespace, assign.key)
        if any((other.stamp, other.dot) > (assign.stamp, assign.dot) for other in live):
            replaced = tuple(sorted({*assign.supersedes, assign.dot}))
            self._assigns[place] = assign._replace(value=None, supersedes=replaced)


def _only_values_are_kept(note_assign: Callable[..., None], self: _Kept, assign: Assign) -> None:
    note_assign(self, assign._replace(supersedes=()))


MUTANTS = (
    Mutant(
        "compaction forgets a concurrent assignment",
        "A writer that compacts a search lets go of its value of a register if somebody assigned another one later.",
        "A register has one value, mostly, and readers look at the latest.",
        (Change(_Kept, "choose_assigns", _one_value_is_enough),),
    ),
    Mutant(
        "compaction forgets what was replaced",
        "A writer that compacts a search keeps its values of registers, and not which ones of others they replaced.",
        "Whoever was there has seen them replaced; only who comes late takes them for news.",
        (Change(_Kept, "_note_assign", _only_values_are_kept),),
    ),
)
