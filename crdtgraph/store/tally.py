"""What a store in RocksDB was given and what that cost, kept in its folder from one opening to the next."""

from rocksdict import Options

from crdtgraph.store.base import Traffic
from crdtgraph.store.directory import StoreDirectory
from crdtgraph.store.engine import written_bytes

NOTE_EVERY_BYTES = 8 << 20
"""Of records. A crash loses what was counted since; what the recovery writes is counted, and is little beside this."""


class TrafficTally:
    """Counts on from what the folder says. `options` are those of the engine that is open to write, once it is."""

    def __init__(self, directory: StoreDirectory) -> None:
        self.options: Options | None = None
        self._directory = directory
        self._earlier = directory.traffic()
        self._records = self._noted = 0

    def add(self, records: int) -> None:
        """So many more bytes of records were given."""
        self._records += records
        if self._records >= self._noted + NOTE_EVERY_BYTES:
            self.note()

    def traffic(self) -> Traffic:
        """The sum so far. About 1 ms."""
        before, disk = self._earlier
        written = 0 if self.options is None else written_bytes(self.options)
        return Traffic(before + self._records, None if disk is None or written is None else disk + written)

    def begin_again(self) -> None:
        """Another engine takes over, and counts from nothing."""
        self._earlier = self.traffic()
        self._records = self._noted = 0

    def note(self) -> None:
        """Keep the sum."""
        self._noted = self._records
        self._directory.note_traffic(self.traffic())
