"""How replicas differ: two side by side, or any number as a matrix; and what it takes to make them equal.

Needs all of them in one process. Of a running node that is its store opened to read, or a copy (`Replica.deltas`).
"""

from crdtgraph.divergence.commits import Scattered
from crdtgraph.divergence.comparison import Divergence, compare
from crdtgraph.divergence.merging import RefMerge, SharedPath
from crdtgraph.divergence.records import Blocked, CounterDifference, MetaDifference
from crdtgraph.divergence.refs import RefDifference, RefSpread, RefState
from crdtgraph.divergence.survey import Survey, survey
from crdtgraph.divergence.transfer import Transfer, transfer

__all__ = [
    "Blocked",
    "CounterDifference",
    "Divergence",
    "MetaDifference",
    "RefDifference",
    "RefMerge",
    "RefSpread",
    "RefState",
    "Scattered",
    "SharedPath",
    "Survey",
    "Transfer",
    "compare",
    "survey",
    "transfer",
]
