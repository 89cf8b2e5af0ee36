"""A store in memory: for tests, simulations and graphs that need not outlive the process.

`memory:` is a fresh, private store. `memory:NAME` is shared by name within the process: what was written
under a name stays until the process ends, so that closing and opening again shows what a reopened disk would
show. One writer at a time, as with a disk; a read-only open gets the state as of its opening. Durability is
that of the process: `sync` has nothing to do.
"""

from collections.abc import Iterator
from threading import Lock

from crdtgraph.errors import LocalError, NotAStoreError, StoreLockedError
from crdtgraph.store.base import FORMAT, FORMAT_KEY, Batch, Keyspace, check_format

_Data = dict[Keyspace, dict[bytes, bytes]]


class MemoryStore:
    """A `Store` in the memory of this process.

    Args:
        name: "" for a private store, else the name it is shared by within the process.
        create: make the store if there is none of that name.
        read_only: look at the present state only; a writer may have it open.

    Raises:
        NotAStoreError: there is nothing of that name and none may be created.
        StoreLockedError: the name is open for writing already.
        StoreVersionError: the data was written by newer code.

    `get` and a write cost O(1) an entry; a scan costs O(n log n) in the entries that match, O(n) in the
    others.
    """

    def __init__(self, name: str = "", *, create: bool = True, read_only: bool = False) -> None:
        self._url = f"memory:{name}"
        self._name = name
        self._read_only = read_only
        self._data: _Data | None = None
        with _names_lock:
            data = _data_of_name.get(name)
            if data is None:
                if read_only or not create:
                    raise NotAStoreError(f"there is no store {self._url}", hint="open it with create=True")
                data = {keyspace: {} for keyspace in Keyspace}
                data[Keyspace.META][FORMAT_KEY] = b"%d" % FORMAT
            check_format(self._url, data[Keyspace.META].get(FORMAT_KEY))
            if read_only:
                data = {keyspace: dict(entries) for keyspace, entries in data.items()}
            elif name in _open_names:
                raise StoreLockedError(
                    f"the store {self._url} is already open in this process",
                    hint="close it first or open it read-only",
                )
            elif name:
                _open_names.add(name)
                _data_of_name[name] = data
        self._data = data

    @property
    def url(self) -> str:
        """See `Store.url`."""
        return self._url

    @property
    def read_only(self) -> bool:
        """See `Store.read_only`."""
        return self._read_only

    def write(self, batch: Batch, *, sync: bool) -> None:
        """See `Store.write`."""
        data = self._open_data()
        if self._read_only:
            raise LocalError(f"the store {self._url} is open read-only", hint="open it with read_only=False")
        for keyspace, key, value in batch.operations:
            if value is None:
                data[keyspace].pop(key, None)
            else:
                data[keyspace][key] = value

    def sync(self) -> None:
        """See `Store.sync`."""
        self._open_data()

    def get(self, keyspace: Keyspace, key: bytes) -> bytes | None:
        """See `Store.get`."""
        return self._open_data()[keyspace].get(key)

    def scan(self, keyspace: Keyspace, prefix: bytes = b"") -> Iterator[tuple[bytes, bytes]]:
        """See `Store.scan`."""
        entries = self._open_data()[keyspace].items()
        return self._steps(sorted(entry for entry in entries if entry[0].startswith(prefix)))

    def reopen(self) -> None:
        """See `Store.reopen`. Nothing fails here."""
        self._open_data()

    def close(self) -> None:
        """See `Store.close`. The data of a named store stays."""
        if self._data is None:
            return
        self._data = None
        if not self._read_only:
            with _names_lock:
                _open_names.discard(self._name)

    def _steps(self, entries: list[tuple[bytes, bytes]]) -> Iterator[tuple[bytes, bytes]]:
        for entry in entries:
            self._open_data()
            yield entry

    def _open_data(self) -> _Data:
        if self._data is None:
            raise LocalError(f"the store {self._url} is closed", hint="open it again")
        return self._data


# Named stores live as long as the process. The lock makes opening and closing safe from any thread.
_names_lock = Lock()
_data_of_name: dict[str, _Data] = {}
_open_names: set[str] = set()
