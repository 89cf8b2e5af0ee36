"""Is what a store gives back what it was given, as far as the store itself can tell?

Every entry is read, so every checksum that the engine has is compared. What is missing altogether shows above, where
the graph is folded anew.
"""

from collections.abc import Iterator

from crdtgraph.errors import StoreCorruptError
from crdtgraph.store.base import Checked, Keyspace, Store

STEP_BYTES = 4 << 20
STEP_ENTRIES = 2_000


def problems(store: Store) -> Iterator[str]:
    """Read everything; yields what is wrong, and "" after each step of some 10 ms. O(size).

    What the engine itself can look for takes longer steps; it is left out where somebody writes, who may serve others.
    """
    for keyspace in Keyspace:
        entries = size = 0
        try:
            for key, value in store.scan(keyspace):
                entries, size = entries + 1, size + len(key) + len(value)
                if entries >= STEP_ENTRIES or size >= STEP_BYTES:
                    entries = size = 0
                    yield ""
        except StoreCorruptError as failure:
            yield str(failure)
    if isinstance(store, Checked) and store.read_only:
        yield from store.problems()
