"""How replicas differ, two or any number of them, what an exchange will make of it, and how much that carries.

Needs all of them in one process. Of a running node that is its store opened to read, or a copy (`Replica.deltas`).
"""

from crdtgraph.divergence.commits import Scattered
from crdtgraph.divergence.comparison import Divergence, compare
from crdtgraph.divergence.merging import RefMerge, SharedPath
from crdtgraph.divergence.records import Blocked, CounterSpread, MetaSpread
from crdtgraph.divergence.refs import RefSpread, RefState
from crdtgraph.divergence.transfer import Transfer, lacking, transfer

__all__ = [
    "Blocked",
    "CounterSpread",
    "Divergence",
    "MetaSpread",
    "RefMerge",
    "RefSpread",
    "RefState",
    "Scattered",
    "SharedPath",
    "Transfer",
    "compare",
    "lacking",
    "transfer",
]
