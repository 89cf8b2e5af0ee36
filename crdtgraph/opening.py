"""Which replica lives in a store: its key and its cluster, made at the first opening and fixed from then on."""

from __future__ import annotations

from crdtgraph.errors import CorruptError, LocalError
from crdtgraph.host import Host
from crdtgraph.records import check_name
from crdtgraph.signing import SEED_BYTES
from crdtgraph.store import Batch, Keyspace, Store

DEFAULT_CLUSTER = "default"

_SEED_KEY, _CLUSTER_KEY = b"replica-seed", b"cluster"


def identify(store: Store, cluster: str | None, host: Host) -> tuple[bytes, str]:
    """The secret seed and the cluster of the replica in a store; an empty store gets new ones, durably.

    Raises LocalError when the store belongs to another cluster than the one given.
    """
    if cluster is not None:
        check_name(cluster, "cluster")
    seed, stored = store.get(Keyspace.META, _SEED_KEY), store.get(Keyspace.META, _CLUSTER_KEY)
    if seed is None or stored is None:
        if store.read_only:
            raise CorruptError(f"{store.url} has no replica in it", hint="it was never finished; create it anew")
        seed, stored = host.random_bytes(SEED_BYTES), (cluster or DEFAULT_CLUSTER).encode()
        batch = Batch()
        batch.put(Keyspace.META, _SEED_KEY, seed)
        batch.put(Keyspace.META, _CLUSTER_KEY, stored)
        store.write(batch, sync=True)
    if cluster is not None and stored != cluster.encode():
        raise LocalError(
            f"{store.url} belongs to cluster {stored.decode()!r}, not {cluster!r}",
            hint="leave the cluster out, or create another store for that cluster",
        )
    return seed, stored.decode()
