"""crdtgraph: a content-addressed commit graph that many writers extend at once, with no coordinator."""

from crdtgraph.buffer import Durability
from crdtgraph.dag import Dag
from crdtgraph.divergence import Divergence, RefDifference, RefState, compare
from crdtgraph.errors import (
    AmbiguousError,
    CorruptError,
    CrdtGraphError,
    LocalError,
    NotAStoreError,
    NotFoundError,
    RemoteError,
    StoreCorruptError,
    StoreError,
    StoreLockedError,
    StoreVersionError,
    UnreachableError,
)
from crdtgraph.exchange import Delta, Received, RemoteGapError
from crdtgraph.fsck import Finding
from crdtgraph.graph import Graph
from crdtgraph.host import SYSTEM, Host
from crdtgraph.ids import CommitId, ReplicaId
from crdtgraph.opening import open
from crdtgraph.planes import LEDGER
from crdtgraph.reader import Waiting
from crdtgraph.records import Commit, Reference, Value
from crdtgraph.refs import Ref
from crdtgraph.state import MergeResult, PathConflict
from crdtgraph.status import Status

__all__ = [
    "LEDGER",
    "SYSTEM",
    "AmbiguousError",
    "Commit",
    "CommitId",
    "CorruptError",
    "CrdtGraphError",
    "Dag",
    "Delta",
    "Divergence",
    "Durability",
    "Finding",
    "Graph",
    "Host",
    "LocalError",
    "MergeResult",
    "NotAStoreError",
    "NotFoundError",
    "PathConflict",
    "Received",
    "Ref",
    "RefDifference",
    "RefState",
    "Reference",
    "RemoteError",
    "RemoteGapError",
    "ReplicaId",
    "Status",
    "StoreCorruptError",
    "StoreError",
    "StoreLockedError",
    "StoreVersionError",
    "UnreachableError",
    "Value",
    "Waiting",
    "compare",
    "open",
]
