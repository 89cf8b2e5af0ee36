"""Stored states where the store itself finds its entries damaged: nothing depends on them."""

from __future__ import annotations

import pytest

from crdtgraph import LEDGER, StoreCorruptError, Value
from crdtgraph.opening import attach
from crdtgraph.state import States
from crdtgraph.steps import run
from crdtgraph.store import Batch, Keyspace
from crdtgraph.store.memory import MemoryStore


class Worn(MemoryStore):
    """A store that finds its own entries damaged, as engines with checksums do, until they are written again."""

    def __init__(self) -> None:
        super().__init__()
        self.damaged: set[bytes] = set()

    def get(self, keyspace: Keyspace, key: bytes) -> bytes | None:
        """See `Store.get`."""
        if keyspace is Keyspace.STATES and key in self.damaged:
            raise StoreCorruptError(f"the entry {key.hex()} has another checksum")
        return super().get(keyspace, key)

    def write(self, batch: Batch, *, sync: bool) -> None:
        """See `Store.write`."""
        super().write(batch, sync=sync)
        self.damaged -= {key for _, key, _ in batch.operations}


@pytest.mark.parametrize("kind", [b"r", b"p", b"marked", b""])
def test_what_the_store_itself_finds_damaged_is_as_good_as_none_and_made_anew(kind: bytes) -> None:
    store = Worn()
    with attach(store) as graph:
        chain = [graph.commit(changes={"x": b"0"})]
        for number in range(1, 20):
            changes: dict[str, Value] = {f"{number % 5}/{each}": b"%d" % number for each in range(8)}
            chain.append(graph.commit(parents=[chain[-1]], changes=changes))
        replayed = {commit: dict(graph.state(commit)) for commit in chain}
        graph.checkpoint_states()
        damaged = {key for key, _ in store.scan(Keyspace.STATES, kind)}
        assert damaged
        store.damaged |= damaged
        graph._states().clear_cache()
        for commit in reversed(chain):
            assert dict(graph.state(commit)) == replayed[commit]
            graph._states().clear_cache()
        apart = {change.path: change.after for change in graph.diff(chain[0], chain[-1])}
        assert {**replayed[chain[0]], **apart} == replayed[chain[-1]]
        while graph.checkpoint_states():
            pass
        states = States(graph._plane(LEDGER), store)
        while run(states.make_steps()):
            pass
        assert not store.damaged & {key for key, _ in store.scan(Keyspace.STATES, b"r")}
