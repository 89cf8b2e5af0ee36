"""crdtgraph: a content-addressed commit graph that many writers extend at once, with no coordinator.

Names are loaded at their first use: a command that only prints help or asks a node needs neither networkx nor pycrdt,
and importing them takes longer than most answers.
"""

import typing

from crdtgraph import lazy

if typing.TYPE_CHECKING:
    from crdtgraph.branches.branch import Branch, BranchInfo, MergeConflictError, OnConflict
    from crdtgraph.bulk import Draft
    from crdtgraph.checkpoints.recovery import CheckpointUse, LastStop, Recovery
    from crdtgraph.dag import Dag
    from crdtgraph.divergence import Divergence, RefSpread, RefState, compare
    from crdtgraph.durability import STANDARD_POLICY, Durability, Policy, StandardPolicy, Write, WriteKind
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
    from crdtgraph.objects import Collected, ObjectCorruptError, ObjectMissingError
    from crdtgraph.opening import open
    from crdtgraph.planes import LEDGER
    from crdtgraph.reader import Waiting
    from crdtgraph.records import Commit, Reference, Value
    from crdtgraph.refs import Ref
    from crdtgraph.searches.registers import Greatest
    from crdtgraph.searches.search import Search
    from crdtgraph.searches.watching import News, Watch
    from crdtgraph.state import MergeFunction, MergePolicy, MergeResult, PathChange, PathConflict, SettledPath
    from crdtgraph.status import Status

__all__ = [
    "LEDGER",
    "STANDARD_POLICY",
    "SYSTEM",
    "AmbiguousError",
    "Branch",
    "BranchInfo",
    "CheckpointUse",
    "Collected",
    "Commit",
    "CommitId",
    "CorruptError",
    "CrdtGraphError",
    "Dag",
    "Delta",
    "Divergence",
    "Draft",
    "Durability",
    "Finding",
    "Graph",
    "Greatest",
    "Host",
    "LastStop",
    "LocalError",
    "MergeConflictError",
    "MergeFunction",
    "MergePolicy",
    "MergeResult",
    "News",
    "NotAStoreError",
    "NotFoundError",
    "ObjectCorruptError",
    "ObjectMissingError",
    "OnConflict",
    "PathChange",
    "PathConflict",
    "Policy",
    "Received",
    "Recovery",
    "Ref",
    "RefSpread",
    "RefState",
    "Reference",
    "RemoteError",
    "RemoteGapError",
    "ReplicaId",
    "Search",
    "SettledPath",
    "StandardPolicy",
    "Status",
    "StoreCorruptError",
    "StoreError",
    "StoreLockedError",
    "StoreVersionError",
    "UnreachableError",
    "Value",
    "Waiting",
    "Watch",
    "Write",
    "WriteKind",
    "compare",
    "open",
]

_HOMES = {
    "AmbiguousError": "errors",
    "Branch": "branches.branch",
    "BranchInfo": "branches.branch",
    "Collected": "objects",
    "CheckpointUse": "checkpoints.recovery",
    "Commit": "records",
    "CommitId": "ids",
    "CorruptError": "errors",
    "CrdtGraphError": "errors",
    "Dag": "dag",
    "Delta": "exchange",
    "Divergence": "divergence",
    "Draft": "bulk",
    "Durability": "durability",
    "Finding": "fsck",
    "Graph": "graph",
    "Greatest": "searches.registers",
    "Host": "host",
    "LEDGER": "planes",
    "LastStop": "checkpoints.recovery",
    "LocalError": "errors",
    "MergeConflictError": "branches.branch",
    "MergeFunction": "state",
    "MergePolicy": "state",
    "MergeResult": "state",
    "News": "searches.watching",
    "NotAStoreError": "errors",
    "NotFoundError": "errors",
    "ObjectCorruptError": "objects",
    "ObjectMissingError": "objects",
    "OnConflict": "branches.branch",
    "PathChange": "state",
    "PathConflict": "state",
    "Policy": "durability",
    "Received": "exchange",
    "Recovery": "checkpoints.recovery",
    "Ref": "refs",
    "RefSpread": "divergence",
    "RefState": "divergence",
    "Reference": "records",
    "RemoteError": "errors",
    "RemoteGapError": "exchange",
    "ReplicaId": "ids",
    "STANDARD_POLICY": "durability",
    "SYSTEM": "host",
    "Search": "searches.search",
    "SettledPath": "state",
    "StandardPolicy": "durability",
    "Status": "status",
    "StoreCorruptError": "errors",
    "StoreError": "errors",
    "StoreLockedError": "errors",
    "StoreVersionError": "errors",
    "UnreachableError": "errors",
    "Value": "records",
    "Waiting": "reader",
    "Watch": "searches.watching",
    "Write": "durability",
    "WriteKind": "durability",
    "compare": "divergence",
    "open": "opening",
}

if not typing.TYPE_CHECKING:  # else every misspelt import would be an object to a type checker
    __getattr__, __dir__ = lazy.loading(__name__, _HOMES)
