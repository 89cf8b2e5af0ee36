"""Methods for those who look after the store below the graph."""

from __future__ import annotations

from collections.abc import Mapping

from crdtgraph.store import FORMAT_KEY, Keyspace, disk_bytes
from crdtgraph.store.base import Measured
from sync.methods.target import Handler, Parts, Target
from sync.params import Params
from sync.protocol.calls import Plain

PART_BYTES = 4 << 20
PART_ENTRIES = 2_000
"""Of what is read for one part of an answer; everyone else is served between two."""


def _store_stats(target: Target, params: Params) -> Parts:
    """How much each keyspace holds, with parts for how far the counting is; then what was written for it."""
    params.done()
    store = target.graph.store
    found: dict[Keyspace, list[int]] = {}
    passed = 0
    for keyspace in Keyspace:
        counts = found[keyspace] = [0, 0, 0]
        entries = size = 0
        for key, value in store.scan(keyspace):
            if keyspace is Keyspace.META and key == FORMAT_KEY:
                continue
            counts[0] += 1
            counts[1] += len(key)
            counts[2] += len(value)
            entries, size = entries + 1, size + len(key) + len(value)
            if size >= PART_BYTES or entries >= PART_ENTRIES:
                passed += size
                entries = size = 0
                yield {"passed_bytes": passed}
        passed += size
    traffic = store.traffic() if isinstance(store, Measured) else None
    names = ("entries", "key_bytes", "value_bytes")
    answer: dict[str, Plain] = {
        "url": store.url,
        "keyspaces": [
            {"keyspace": each.value, **dict(zip(names, counts, strict=True))} for each, counts in found.items()
        ],
        "disk_bytes": disk_bytes(store.url),
        "records_bytes": None if traffic is None else traffic.records,
        "written_bytes": None if traffic is None else traffic.disk,
        "write_amplification": None if traffic is None else traffic.amplification,
    }
    yield answer
    return None


TABLE: Mapping[str, Handler] = {"store_stats": _store_stats}
