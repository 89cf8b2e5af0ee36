"""One object on its way: which of its blocks to look for, in an order that needs to know few of them at a time."""

from __future__ import annotations

from collections import deque

from crdtgraph.objects import RemoteObjectError, Root, hashes_in, read_root


class Fetch:
    """The root first, then what it lists; of an object of many lists the chunks of one list before the next list."""

    def __init__(self, object_id: bytes) -> None:
        self.id = object_id
        self.root: Root | None = None
        self.todo: dict[bytes, int] = {object_id: 0}
        """Blocks to look for here, and then to ask for; with the length that a list or chunk has to have."""
        self.is_lists = False
        """Whether what is to do are lists and not chunks."""
        self._lists: deque[tuple[bytes, int]] = deque()
        self._chunks = 0

    @property
    def is_done(self) -> bool:
        """Whether all of its blocks were taken."""
        return self.root is not None and not self.todo and not self._lists

    def take(self, name: bytes, data: bytes) -> None:
        """A block is here: go on to those that it names. RemoteObjectError if it is not what it has to be."""
        length = self.todo.pop(name)
        if self.root is None:
            self.root = root = read_root(data)
            if root.has_lists:
                self._lists.extend((each, root.list_length(place)) for place, each in enumerate(root.hashes))
            else:
                self._add_chunks(list(root.hashes))
        elif self.is_lists:
            hashes = hashes_in(data)
            if len(hashes) != length:
                raise RemoteObjectError(f"a list of {len(hashes)} hashes where {length} belong")
            self._add_chunks(hashes)
        elif len(data) != length:
            raise RemoteObjectError(f"a chunk of {len(data)} bytes where {length} belong")
        if not self.todo and self._lists:
            name, length = self._lists.popleft()
            self.todo[name] = length
            self.is_lists = True

    def _add_chunks(self, hashes: list[bytes]) -> None:
        assert self.root is not None
        self.is_lists = False
        for each in hashes:
            self.todo.setdefault(each, self.root.chunk_bytes(self._chunks))
            self._chunks += 1
