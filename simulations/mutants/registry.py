"""All mutants by name."""

from __future__ import annotations

from crdtgraph.errors import NotFoundError
from simulations.mutants import assigning, counting, exchanging, folding, searching, storing
from simulations.mutants.planting import UNPATCHED, Mutant

MUTANTS = (
    *folding.MUTANTS,
    *storing.MUTANTS,
    *exchanging.MUTANTS,
    *counting.MUTANTS,
    *searching.MUTANTS,
    *assigning.MUTANTS,
)
"""Every bug that the simulator has to catch."""

_BY_NAME = {mutant.name: mutant for mutant in (UNPATCHED, *MUTANTS)}


def find(name: str) -> Mutant:
    """The mutant of this name, `UNPATCHED` among them; NotFoundError with the names there are."""
    found = _BY_NAME.get(name)
    if found is None:
        raise NotFoundError(f"there is no mutant {name!r}", hint=f"mutants: {', '.join(_BY_NAME)}")
    return found
