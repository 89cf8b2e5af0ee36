"""Bugs in what replicas do about searches: whether one is over, and what a commit is that came by two ways."""

from __future__ import annotations

from collections.abc import Callable

from crdtgraph.ids import CommitId
from crdtgraph.searches.grounded import GroundedProjection
from crdtgraph.searches.plane import PREFIX
from crdtgraph.searches.searching import Hearing, Searching
from simulations.mutants.planting import Change, Mutant


def _what_a_peer_has_is_open(hear_of: Callable[..., Hearing], self: Searching, plane: str) -> Hearing:
    hearing = hear_of(self, plane)
    if hearing is not Hearing.CLOSED:
        return hearing
    self._begin(plane.removeprefix(PREFIX)).is_heard_of = True
    return Hearing.OPEN


def _once_a_base_always_a_base(
    add_again: Callable[..., bool],
    self: GroundedProjection,
    commit: CommitId,
    parents: tuple[CommitId, ...],
    time: int,
    location: int,
) -> bool:
    return False


def _nobody_tells(settle: Callable[..., bool], self: GroundedProjection) -> bool:
    changed = settle(self)
    self._ground.awaited.clear()
    return changed


MUTANTS = (
    Mutant(
        "late peer brings a closed search back",
        "A peer that tells of a search is believed, although the ledger says that the search is over.",
        "The plane is not there, the peer has it, and a replica takes whatever it lacks.",
        (Change(Searching, "hear_of", _what_a_peer_has_is_open),),
    ),
    Mutant(
        "bases that stay bases",
        "A commit that came by the ledger first stays a base when the search brings it, without parents or discards.",
        "It is visible already, and whatever is visible need not be added again.",
        (Change(GroundedProjection, "_add_again", _once_a_base_always_a_base),),
    ),
    Mutant(
        "ledger that comes after the search",
        "What a search says of commits that the ledger does not have yet waits for ever.",
        "Mostly the ledger is there first, and then everything is found.",
        (Change(GroundedProjection, "settle", _nobody_tells),),
    ),
)
