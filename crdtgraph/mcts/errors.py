"""What goes wrong in a tree search by the fault of the problem that it is given."""

from __future__ import annotations

from crdtgraph.errors import LocalError


class ProblemError(LocalError):
    """A problem raised, or answered what cannot be: moves that are not unique, a reward that is no number.

    When a method of the problem raised, that exception is the cause (`__cause__`). Nothing that was in flight because
    of the call is left behind, and the tree can be used further.
    """


class ProblemMismatchError(LocalError):
    """The search was begun for another problem, or for the same one with other parameters."""
