"""What a search is, said again in sets and dicts: a function of its segments and of the commits in the ledger.

As in `model.py` no code of `crdtgraph` decides anything here, and everything is computed from scratch. Only what is
live is a matter of agreement: a replica may have let go of what was discarded, each in its own time.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping

from crdtgraph.ids import CommitId, SegmentKey
from crdtgraph.records import Assign
from crdtgraph.segment import Segment


class SearchModel:
    """What everybody must see who holds these segments of a search above that ledger, given with parents.

    `visible` are the search's own commits with their parents, `dead` what was discarded or follows from it (bases among
    it), `totals` what was counted, for own commits and for those of the ledger, `values` those of each register.
    """

    def __init__(self, segments: Iterable[Segment], ledger: Mapping[CommitId, tuple[CommitId, ...]]) -> None:
        given = list(segments)
        kept, open_parts = _kept(given)
        records = {commit: parents for each in kept for commit, parents in zip(each.ids, each.parents, strict=True)}
        self._ledger = ledger
        self.visible: dict[CommitId, tuple[CommitId, ...]] = {}
        waiting = dict(records)
        while True:
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

        def is_known(commit: CommitId) -> bool:
            return commit in self.visible or (commit in ledger and commit not in records)

        self.dead: set[CommitId] = {each.commit for said in kept for each in said.discards if is_known(each.commit)}
        everything = {**ledger, **self.visible}
        grows = True
        while grows:
            follow = {each for each, parents in everything.items() if not self.dead.isdisjoint(parents)} - self.dead
            self.dead |= follow
            grows = bool(follow)
        totals: dict[CommitId, list[int]] = defaultdict(list)
        for said in kept:
            for count in said.counts if said.key not in open_parts else ():
                if is_known(count.commit):
                    total = totals[count.commit]
                    total += [0] * (len(count.vector) - len(total))
                    for place, value in enumerate(count.vector):
                        total[place] += value
        assigns = [assign for said in kept for assign in said.assigns]
        self.values: dict[tuple[str, str], set[bytes]] = {(each.namespace, each.key): set() for each in assigns}
        for each in assigns:
            if each.value is not None and not any(_replaces(other, each) for other in assigns):
                self.values[each.namespace, each.key].add(each.value)
        self.totals: dict[CommitId, tuple[int, ...]] = {
            commit: trimmed for commit, total in totals.items() if (trimmed := _trimmed(total))
        }

    @property
    def live(self) -> dict[CommitId, tuple[CommitId, ...]]:
        """The search's own live commits with their parents."""
        return {commit: parents for commit, parents in self.visible.items() if commit not in self.dead}

    @property
    def live_totals(self) -> dict[CommitId, tuple[int, ...]]:
        """What was counted for live commits, of the search or of the ledger."""
        return {commit: total for commit, total in self.totals.items() if commit not in self.dead}


def _kept(given: list[Segment]) -> tuple[list[Segment], set[SegmentKey]]:
    """The segments that nothing supersedes, and the keys of those whose counts do not hold yet.

    A segment supersedes others by itself, or as a part of a batch, which does so once all its parts are there.
    """
    gone = {old for each in given for old in each.supersedes}
    batches: dict[tuple[int, int, int], list[Segment]] = defaultdict(list)
    for each in given:
        if each.part is not None:
            batches[each.key.writer, each.part.start, each.part.total].append(each)
    open_parts: set[SegmentKey] = set()
    for (writer, _, total), parts in batches.items():
        named = [each.part for each in parts if each.part is not None]
        if len({part.number for part in named}) < total:
            open_parts |= {each.key for each in parts}
            continue
        for part in named:
            for first, length in part.runs:
                gone |= {SegmentKey(writer, seq) for seq in range(first, first + length)}
    return [each for each in given if each.key not in gone], open_parts


def _replaces(later: Assign, assign: Assign) -> bool:
    """Whether one assignment replaces another: a later one of its writer, or one that names it or a later one."""
    if later[:2] != assign[:2]:
        return False
    writer, counter = assign.dot
    follows = later.dot.writer == writer and later.dot.counter > counter
    return follows or any(dot.writer == writer and dot.counter >= counter for dot in later.supersedes)


def _trimmed(total: list[int]) -> tuple[int, ...]:
    while total and total[-1] == 0:
        total.pop()
    return tuple(total)
