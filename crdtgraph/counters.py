"""Counters of commits: visits, values, whatever a search adds up.

A count adds a vector of integers; the total is the sum over all counts that are not superseded. Integers only: floats
added in another order give other bits, and then replicas disagree. Totals are Python integers and do not overflow.

A segment's counts are added once, whatever the number of times it arrives, because the projection folds a segment
key once; when a compaction supersedes the segment its counts are taken back and the new segment's added.
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from operator import add

from crdtgraph.canonical import encode
from crdtgraph.ids import CommitId

_TAG = b"crdtgraph count\0"
_MASK = (1 << 256) - 1

UNSETTLED_MAX = 2_000
"""Commits whose change the digest sum does not know yet; settling one takes about 4 us."""


class Counters:
    """Totals by commit, with the digest sum of those of live commits.

    The sum is behind: a search counts some commits at each step, and two hashes for each count would take more time
    than the counting. `_unsettled` holds the commits whose totals have changed, each with the totals that the sum has
    of it. When there are many the one that waits longest is brought up to date with each that comes; whoever reads
    `sum` settles all of them, which takes about 8 ms at most.
    """

    __slots__ = ("_before", "_sum", "_totals", "_unsettled")

    def __init__(self) -> None:
        self._totals: dict[CommitId, tuple[int, ...]] = {}
        self._before: dict[CommitId, tuple[int, ...]] | None = None
        self._unsettled: OrderedDict[CommitId, tuple[int, ...]] = OrderedDict()
        self._sum = 0

    def __len__(self) -> int:
        return len(self._totals)

    @property
    def sum(self) -> int:
        """The sum modulo 2**256 over live commits with totals. O(commits that changed), of which few wait."""
        totals, unsettled = self._totals, self._unsettled
        while unsettled:
            commit, before = unsettled.popitem()
            self._sum += _term(commit, totals.get(commit, ())) - _term(commit, before)
        self._sum &= _MASK
        return self._sum

    def add(self, commit: CommitId, vector: tuple[int, ...], *, live: bool, sign: int = 1) -> None:
        """Add `vector` (sign 1) or take it back (sign -1); vectors of other lengths are padded with zeros."""
        before = self._totals.get(commit, ())
        if self._before is not None:
            self._before.setdefault(commit, before)
        if live and commit not in self._unsettled:
            self._unsettled[commit] = before
        if len(before) == len(vector) and sign == 1:
            total = tuple(map(add, before, vector))
        else:
            width = max(len(before), len(vector))
            padded = before + (0,) * (width - len(before))
            total = tuple([a + sign * b for a, b in zip(padded, vector + (0,) * (width - len(vector)), strict=True)])
        while total and total[-1] == 0:
            total = total[:-1]
        if total:
            self._totals[commit] = total
        else:
            self._totals.pop(commit, None)
        if len(self._unsettled) > UNSETTLED_MAX:
            self._settle_one()

    def restore(self, totals: dict[CommitId, tuple[int, ...]], total: int) -> None:
        """Become the counters that had these totals and this sum; only for empty ones."""
        self._totals = totals
        self._sum = total

    def freeze(self) -> None:
        """Remember from now on what changes, so that `frozen` can tell how it was."""
        self._before = {}

    def frozen(self, commits: Sequence[CommitId]) -> tuple[list[CommitId], list[tuple[int, ...]]]:
        """Which of these commits had totals when `freeze` was called, and the totals of each."""
        totals, before = self._totals, self._before or {}
        # No pairs: thousands of new tuples would set the cyclic garbage collector going.
        found = [commit for commit in commits if before.get(commit, commit in totals)]
        return found, [before[commit] if commit in before else totals[commit] for commit in found]

    def thaw(self) -> None:
        """Nobody asks for `frozen` any more."""
        self._before = None

    def get(self, commit: CommitId) -> tuple[int, ...]:
        """The totals of a commit without trailing zeros; empty when nothing was counted."""
        return self._totals.get(commit, ())

    def enter(self, commit: CommitId) -> None:
        """Let a commit's totals count in the digest."""
        self._sum += _term(commit, self._totals.get(commit, ()))

    def leave(self, commit: CommitId) -> None:
        """Take a commit's totals out of the digest."""
        counted = self._unsettled.pop(commit, None)
        self._sum -= _term(commit, self._totals.get(commit, ()) if counted is None else counted)

    def forget(self, commit: CommitId) -> None:
        """Drop the totals of a commit that is discarded and out of the digest."""
        self._totals.pop(commit, None)

    def __iter__(self) -> Iterator[tuple[CommitId, tuple[int, ...]]]:
        """Commits with totals, ordered by id."""
        for commit in sorted(self._totals):
            yield commit, self._totals[commit]

    def _settle_one(self) -> None:
        commit, before = self._unsettled.popitem(last=False)
        self._sum += _term(commit, self._totals.get(commit, ())) - _term(commit, before)


def _term(commit: CommitId, total: tuple[int, ...]) -> int:
    """What a commit with these totals adds to the digest."""
    if not total:
        return 0
    return int.from_bytes(hashlib.sha256(_TAG + encode((commit, total))).digest(), "big")
