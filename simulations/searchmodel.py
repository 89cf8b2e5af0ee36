"""What a search is, said again in sets and dicts: a function of its segments and of which commits are in the ledger.

As in `model.py` no code of `crdtgraph` decides anything here, and everything is computed from scratch.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable

from simulations.model import Said


class SearchModel:
    """What everybody must see who holds these segments of a search above that ledger.

    `visible` are the search's own commits with their parents, `dead` what was discarded or follows from it (bases among
    it), `totals` what was counted, for own commits and for those of the ledger.
    """

    def __init__(self, segments: Iterable[Said], ledger: Collection[bytes]) -> None:
        given = list(segments)
        superseded = {name for said in given for name in said.supersedes}
        kept = [said for said in given if said.name not in superseded]
        records = {commit: parents for said in kept for commit, parents, _ in said.commits}
        self.visible: dict[bytes, tuple[bytes, ...]] = {}
        waiting = dict(records)
        while waiting:
            found = {
                commit: parents
                for commit, parents in waiting.items()
                if all(each in self.visible or (each in ledger and each not in records) for each in parents)
            }
            if not found:
                break
            self.visible |= found
            for commit in found:
                del waiting[commit]
        self.pending = set(waiting)

        def is_known(commit: bytes) -> bool:
            return commit in self.visible or (commit in ledger and commit not in records)

        self.dead = {commit for said in kept for commit in said.discards if is_known(commit)}
        grows = True
        while grows:
            follow = {each for each, parents in self.visible.items() if not self.dead.isdisjoint(parents)} - self.dead
            self.dead |= follow
            grows = bool(follow)
        totals: dict[bytes, list[int]] = defaultdict(list)
        for said in kept:
            for commit, vector in said.counts:
                if is_known(commit):
                    total = totals[commit]
                    total += [0] * (len(vector) - len(total))
                    for place, value in enumerate(vector):
                        total[place] += value
        self.totals = {commit: trimmed for commit, total in totals.items() if (trimmed := _trimmed(total))}


def _trimmed(total: list[int]) -> tuple[int, ...]:
    while total and total[-1] == 0:
        total.pop()
    return tuple(total)
