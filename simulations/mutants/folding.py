"""Bugs in what a set of segments means: folds that look at order, at repetition or at the clock."""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import zip_longest

import crdtgraph.planes
from crdtgraph.assigning import Assigner
from crdtgraph.counters import Counters
from crdtgraph.discards import Discards
from crdtgraph.ids import CommitId
from crdtgraph.projection import Projection
from crdtgraph.records import REF_NAMESPACE, Assign, Commit, Discard
from crdtgraph.refs import Refs
from crdtgraph.registers import Registers
from crdtgraph.segment import Part, Records, Segment
from crdtgraph.signing import Identity
from crdtgraph.state import MergeResult
from crdtgraph.state.policies import PathPolicies
from simulations.mutants.planting import Change, Evidence, Mutant

FRACTION = 0.1
"""No binary float is a tenth, so sums of tenths depend on their order."""


def _orphans_are_shown(
    add_commit: Callable[..., bool],
    self: Projection,
    commit: CommitId,
    parents: tuple[CommitId, ...],
    time: int,
    location: int,
) -> bool:
    return add_commit(self, commit, tuple(parent for parent in parents if parent in self.nodes), time, location)


def _the_latest_wins(apply: Callable[..., None], self: Registers, assign: Assign) -> None:
    live = self.live(assign.namespace, assign.key)
    if all(assign.stamp >= other.stamp for other in live):
        apply(self, assign._replace(supersedes=tuple({*assign.supersedes, *(other.dot for other in live)})))


def _refs_supersede_nothing(apply: Callable[..., None], self: Registers, assign: Assign) -> None:
    apply(self, assign._replace(supersedes=()) if assign.namespace == REF_NAMESPACE else assign)


def _the_last_to_come_wins(targets: Callable[..., tuple[CommitId, ...]], self: Refs, name: str) -> tuple[CommitId, ...]:
    return tuple(sorted(targets(self, name), key=self._projection.nodes.__getitem__, reverse=True))


def _fractions_are_added(
    add: Callable[..., None],
    self: Counters,
    commit: CommitId,
    vector: tuple[int, ...],
    *,
    live: bool,
    sign: int = 1,
) -> None:
    # A total is kept as the 64 bits of its float: whoever stores or hashes it takes it as it is, and nothing crashes.
    change = []
    for before, number in zip_longest(self._totals.get(commit, ()), vector, fillvalue=0):
        change.append(_bits_of(_float_of(before) + sign * number * FRACTION) - before)
    add(self, commit, tuple(change), live=live)


def _fractions_are_read(get: Callable[..., tuple[int, ...]], self: Counters, commit: CommitId) -> tuple[int, ...]:
    total = [round(_float_of(bits) / FRACTION) for bits in get(self, commit)]
    while total and not total[-1]:
        total.pop()
    return tuple(total)


def _bits_of(number: float) -> int:
    return int.from_bytes(struct.pack(">d", number), "big")


def _float_of(bits: int) -> float:
    (number,) = struct.unpack(">d", bits.to_bytes(8, "big"))
    return float(number)


def _nothing_is_taken_back(retract: Callable[..., None], self: Projection, old: Segment) -> None:
    pass


def _the_digest_keeps_what_goes(add_discard: Callable[..., None], self: Projection, discard: Discard) -> None:
    add_discard(self, discard)
    self._leaving.clear()


def _children_are_born_live(append: Callable[..., bool], self: Discards, parents: Sequence[int]) -> bool:
    return append(self, ())


def _discards_are_left_out(records: Callable[..., Records], self: Segment) -> Records:
    return replace(records(self), discards=[])


def _the_merger_signs(
    prepare: Callable[..., tuple[Commit | None, MergeResult]], self: Assigner, name: str, given: PathPolicies | None
) -> tuple[Commit | None, MergeResult]:
    commit, result = prepare(self, name, given)
    if commit is None:
        return None, result
    commit = commit._replace(author=self.author)
    return commit, replace(result, commit=commit.id)


def _records_come_from_sets(
    pack: Callable[..., bytes],
    records: Records,
    *,
    plane: str,
    identity: Identity,
    seq: int,
    supersedes: Sequence[int] = (),
    part: Part | None = None,
) -> bytes:
    gathered = replace(records, assigns=[*set(records.assigns)], counts=[*set(records.counts)])
    return pack(gathered, plane=plane, identity=identity, seq=seq, supersedes=supersedes, part=part)


MUTANTS = (
    Mutant(
        "orphans made visible",
        "A commit is shown as soon as it comes, with those of its parents that are there.",
        "It works as long as everything arrives in order, and it saves the waiting room.",
        (Change(Projection, "add_commit", _orphans_are_shown),),
    ),
    Mutant(
        "last-writer-wins by wall clock",
        "Of two assignments the one with the later stamp stays, whether its writer had seen the other or not.",
        "One timestamp is so much simpler than a set of dots, and on one machine the result is the same.",
        (Change(Registers, "apply", _the_latest_wins),),
    ),
    Mutant(
        "refs not superseded",
        "A ref that moves leaves its earlier targets live.",
        "A target that is an ancestor of another is hidden anyway, so only forced moves and removals show it.",
        (Change(Registers, "apply", _refs_supersede_nothing),),
    ),
    Mutant(
        "ties broken by arrival",
        "Of the targets of a conflicted ref the one that arrived last is the winner.",
        "It is the last in the list, and whoever tests with one replica sees one order.",
        (Change(Refs, "targets", _the_last_to_come_wins),),
    ),
    Mutant(
        "floats in counters",
        "Counters add floats, which have another sum in another order.",
        "A search counts values between 0 and 1, and the difference is in the last bit.",
        (
            Change(Counters, "add", _fractions_are_added),
            Change(Counters, "get", _fractions_are_read),
        ),
    ),
    Mutant(
        "counts counted twice at compaction",
        "A joined segment adds its counts again to those of the segments that it replaces.",
        "All other records are sets, where a repetition changes nothing.",
        (Change(Projection, "_retract", _nothing_is_taken_back),),
    ),
    Mutant(
        "digest not updated on remove",
        "A commit that is discarded stays in the digest if it was there before.",
        "Adding to a running hash is written first and tested; the way back is a second place to think of.",
        (Change(Projection, "add_discard", _the_digest_keeps_what_goes),),
    ),
    Mutant(
        "discards that miss later children",
        "A commit that comes after its ancestor was discarded is live.",
        "Marking all descendants looks complete; those that are still under way are nobody's yet.",
        (Change(Discards, "append", _children_are_born_live),),
    ),
    Mutant(
        "discards forgotten at compaction",
        "A joined segment leaves the discards of its parts out.",
        "What was discarded looks like what a compaction is there to drop.",
        (Change(Segment, "records", _discards_are_left_out),),
    ),
    Mutant(
        "merge commits that depend on the merging node",
        "A merge commit names who merged, so that two replicas which merge the same heads make two commits.",
        "Commits have an author, and a merge is a commit.",
        (Change(Assigner, "_prepare_merge", _the_merger_signs),),
    ),
    Mutant(
        "set order leaking into bytes",
        "The records of a segment are packed in the order of a set.",
        "A set is the shortest way to drop duplicates, and within one process its order looks fixed.",
        (Change(crdtgraph.planes, "pack", _records_come_from_sets),),
        Evidence.HASH_SEED,
    ),
)
