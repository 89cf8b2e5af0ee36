"""Opening a graph, and which replica lives in a store: its key and its cluster are made once and fixed from then on."""

from __future__ import annotations

from typing import TYPE_CHECKING

from crdtgraph.durability import STANDARD_POLICY, Policy
from crdtgraph.errors import CorruptError, LocalError
from crdtgraph.graph import Graph
from crdtgraph.host import SYSTEM, Host
from crdtgraph.objects.store import SCANNED_KEY
from crdtgraph.records import check_name
from crdtgraph.signing import SEED_BYTES
from crdtgraph.store import Batch, Keyspace, Store, open_store
from crdtgraph.store.base import CLUSTER_KEY, SEED_KEY

if TYPE_CHECKING:
    from crdtgraph.metering import Meter

DEFAULT_CLUSTER = "default"


def open(
    url: str,
    *,
    create: bool = True,
    read_only: bool = False,
    cluster: str | None = None,
    author: str | None = None,
    host: Host = SYSTEM,
    policy: Policy = STANDARD_POLICY,
    meter: Meter | None = None,
) -> Graph:
    """Open a graph, about 5 us a commit.

    Args:
        url: `rocksdb:PATH` or just a path, `sqlite:FILE`, `memory:` for one that is gone at the end.
        create: make a new store where there is none.
        read_only: see the state as of now, also while another process has it open for writing.
        cluster: the name that replicas which exchange must share. Fixed at creation; "default" by default.
        author: the author of commits that name none; by default the first 8 digits of the replica's id.
        host: where time and randomness come from.
        policy: puts writes that name no durability into a class; see `crdtgraph.durability`.
        meter: is told how long commits, reads, flushes and syncs take, at about 2 us a call; see `crdtgraph.metering`.

    Raises:
        NotAStoreError, StoreLockedError, StoreCorruptError, StoreVersionError, StoreError: see `crdtgraph.store`.
        LocalError: the store belongs to another cluster.
    """
    store = open_store(url, create=create, read_only=read_only)
    try:
        return attach(store, cluster=cluster, author=author, host=host, policy=policy, meter=meter)
    except BaseException:
        store.close()
        raise


def attach(
    store: Store,
    *,
    cluster: str | None = None,
    author: str | None = None,
    host: Host = SYSTEM,
    policy: Policy = STANDARD_POLICY,
    meter: Meter | None = None,
) -> Graph:
    """Open the graph in a store that is open already; closing the graph closes it."""
    seed, found = _identify(store, cluster, host)
    kind: type[Graph] = Graph
    if meter is not None:
        from crdtgraph.metering.graph import MeteredGraph
        from crdtgraph.store.metered import MeteredStore

        kind, store = MeteredGraph, MeteredStore(store, meter)
    graph = kind(store, seed=seed, cluster=found, author=author, host=host, policy=policy)
    graph.meter = meter
    return graph


def _identify(store: Store, cluster: str | None, host: Host) -> tuple[bytes, str]:
    """The secret seed and the cluster of the replica in a store; an empty store gets new ones, durably.

    Raises LocalError when the store belongs to another cluster than the one given.
    """
    if cluster is not None:
        check_name(cluster, "cluster")
    seed, stored = store.get(Keyspace.META, SEED_KEY), store.get(Keyspace.META, CLUSTER_KEY)
    if seed is None or stored is None:
        if store.read_only:
            raise CorruptError(f"{store.url} has no replica in it", hint="it was never finished; create it anew")
        seed, stored = host.random_bytes(SEED_BYTES), (cluster or DEFAULT_CLUSTER).encode()
        batch = Batch()
        batch.put(Keyspace.META, SEED_KEY, seed)
        batch.put(Keyspace.META, CLUSTER_KEY, stored)
        batch.put(Keyspace.OBJECTS, SCANNED_KEY, b"")
        store.write(batch, sync=True)
    if cluster is not None and stored != cluster.encode():
        raise LocalError(
            f"{store.url} belongs to cluster {stored.decode()!r}, not {cluster!r}",
            hint="leave the cluster out, or create another store for that cluster",
        )
    return seed, stored.decode()
