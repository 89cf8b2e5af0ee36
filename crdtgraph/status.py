"""How one replica is doing, in one record."""

from __future__ import annotations

from dataclasses import dataclass

from crdtgraph.checkpoints.recovery import Recovery
from crdtgraph.planes import Plane
from crdtgraph.store import FORMAT, FORMAT_KEY, Keyspace


@dataclass(frozen=True, slots=True)
class Status:
    """How one replica is doing. Counts are of the ledger.

    `missing_objects` are those that commits name and that are not here; a peer that has them gives them.
    `format` is that of the store. `holes` are places of compacted segments whose records have not come; a peer that
    has them gives them. `last_stop`, `checkpoint`, `covered` and `folded` say how it was opened: see `Recovery`.
    """

    replica: str
    cluster: str
    url: str
    format: int
    writer: str
    commits: int
    live: int
    pending: int
    heads: int
    refs: int
    conflicted_refs: int
    segments: int
    holes: int
    buffered: int
    last_stop: str
    checkpoint: str
    covered: int
    folded: int
    digest: str
    missing_objects: int = 0
    missing_bytes: int = 0


@dataclass(frozen=True, slots=True)
class PlaneStatus:
    """How one plane of a replica is doing.

    `log_bytes` is what the store holds of it, `document_bytes` how much of that the document still needs: the rest is
    of segments that were joined since, and goes with the next snapshot.
    """

    name: str
    digest: bytes
    set_digest: bytes
    commits: int
    live: int
    pending: int
    heads: int
    segments: int
    holes: int
    log_bytes: int
    document_bytes: int


def summarise_plane(plane: Plane) -> PlaneStatus:
    """The status of one plane. O(heads)."""
    projection = plane.projection
    return PlaneStatus(
        name=plane.name,
        digest=projection.digest(),
        set_digest=plane.set_digest(),
        commits=len(projection),
        live=projection.live_count(),
        pending=len(projection.pending),
        heads=len(projection.dag.heads()),
        segments=len(plane.document),
        holes=len(plane.beside.holes),
        log_bytes=plane.log.bytes,
        document_bytes=plane.document.bytes,
    )


def summarise(plane: Plane, cluster: str, recovery: Recovery) -> Status:
    """The status of a replica by its ledger. O(heads + refs)."""
    projection, identity = plane.projection, plane.identity
    return Status(
        replica=identity.replica_id.hex(),
        cluster=cluster,
        url=plane.store.url,
        format=int(plane.store.get(Keyspace.META, FORMAT_KEY) or FORMAT),
        writer=f"{identity.writer:x}",
        commits=len(projection),
        live=projection.live_count(),
        pending=len(projection.pending),
        heads=len(projection.dag.heads()),
        refs=len(projection.refs),
        conflicted_refs=sum(ref.conflicted for ref in projection.refs.values()),
        segments=len(plane.document),
        holes=len(plane.beside.holes),
        buffered=len(plane.buffer),
        last_stop=recovery.last_stop.value,
        checkpoint=recovery.checkpoint.value,
        covered=recovery.covered,
        folded=recovery.folded,
        digest=projection.digest().hex(),
    )
