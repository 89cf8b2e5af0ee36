"""Large values of a graph: what is put beside the commits, found again, and collected when nobody needs it.

A value above `INLINE_BYTES_MAX` does not travel in its commit. It becomes an object (see `crdtgraph.objects`), and the
commit names it: the state at a commit then has a `Reference` of scheme "object" at its path. Equal values have equal
references, so states are compared and merged without looking at contents.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from crdtgraph.errors import LocalError, NotFoundError
from crdtgraph.ids import CommitId
from crdtgraph.objects.format import Readable, is_large
from crdtgraph.objects.store import ObjectStore, shown
from crdtgraph.planes import LEDGER, Plane
from crdtgraph.records import OBJECT_SCHEME, Commit, Reference, Value
from crdtgraph.replica import Replica
from crdtgraph.segment import Segment
from crdtgraph.store import Store

if TYPE_CHECKING:
    from crdtgraph.objects.collecting import Collected, Fold
    from crdtgraph.status import Status


class LargeValues(Replica):
    """A graph whose values may be large."""

    store: Store
    objects: ObjectStore
    """Where they are, for who moves them between replicas."""

    def status(self) -> Status:
        """A summary of this replica. O(heads + refs)."""
        objects = self.objects
        return replace(super().status(), missing_objects=objects.missing, missing_bytes=objects.missing_bytes)

    def put_object(self, source: bytes | Readable | Iterable[bytes]) -> Reference:
        """Keep a value of any size and return what to give to `commit` for it; about 10 ms a megabyte.

        Args:
            source: bytes, a file opened with "rb", or pieces of bytes; nothing of it has to fit into memory.

        It is durable at the latest with the commit that names it. What no commit names is collected some time later.

        Raises:
            LocalError: it is something else, or larger than 256 GiB. StoreError: the disk refuses.
        """
        if self.store.read_only:
            raise LocalError(f"{self.store.url} is open for reading only", hint="open it with read_only=False")
        return self.objects.put(source)

    def object(self, reference: Reference) -> bytes:
        """The bytes that a reference of scheme "object" stands for, all of them at once; see `object_chunks`."""
        return self.objects.get(reference)

    def object_chunks(self, reference: Reference) -> Iterator[bytes]:
        """The bytes that a reference stands for in chunks of 64 KiB, each verified.

        Raises:
            ObjectMissingError: it is not here, or kept elsewhere. A node fetches what commits of the ledger name.
            ObjectCorruptError: it is damaged on the disk; a node fetches it again.
        """
        return self.objects.read(reference)

    def has_object(self, reference: Reference) -> bool:
        """Whether the whole object is here."""
        return self.objects.has(reference)

    def read(self, commit: CommitId, path: str, *, plane: str = LEDGER) -> bytes:
        """The bytes of a path at a commit, large or not.

        Raises NotFoundError when there is no such path or commit, and as `object_chunks` does.
        """
        value = self.state(commit, plane=plane).get(path)
        if value is None:
            raise NotFoundError(f"there is no path {path!r} at {commit.hex()[:12]}")
        return self.objects.get(value) if isinstance(value, Reference) else value

    # Garbage

    def collect_garbage(self, *, dry_run: bool = False) -> Collected:
        """Remove the objects that no live commit names, all at once; see `collect_steps`."""
        steps = self.collect_steps(dry_run=dry_run)
        while True:
            try:
                next(steps)
            except StopIteration as done:
                collected: Collected = done.value
                return collected

    def collect_steps(self, *, dry_run: bool = False) -> Generator[None, None, Collected]:
        """Remove the objects that no live commit names, some milliseconds of work a step.

        What was put or named lately stays until a later collection, so that an object may be put first and named
        afterwards. Between two steps anything may be done. `dry_run` only counts. O(commits + bytes of all objects).
        """
        from crdtgraph.objects.collecting import collect_steps

        return collect_steps(self.folds(), self.objects, dry_run=dry_run)

    def look_for_objects_steps(self) -> Iterator[None]:
        """Look through all commits of the ledger for objects that are not here, some milliseconds of work a step.

        Only needed once, for commits that came when this was not yet done as they came; `objects.is_scanned` says so.
        """
        from crdtgraph.objects.collecting import mark_steps

        for plane in self.folds():
            if plane.is_eager:
                named: dict[bytes, int] = {}
                yield from mark_steps(plane, named)
                self.objects.want(Reference(OBJECT_SCHEME, each, size) for each, size in named.items())
        self.objects.note_scanned()

    # Inside

    def folds(self) -> list[Fold]:
        """The planes, as collections see them."""
        from crdtgraph.objects.collecting import Fold

        planes = {**self._planes, **self._searches}
        return [
            Fold(plane.projection, plane.contents, name == LEDGER, partial(self._is_open_plane, name, plane))
            for name, plane in planes.items()
        ]

    def _is_open_plane(self, name: str, plane: Plane) -> bool:
        return self._open_plane(name) is plane

    def _with_objects(self, changes: Mapping[str, Value]) -> Mapping[str, Value]:
        """Changes of ours with large values put beside them; LocalError for an object that is not here."""
        if not hasattr(changes, "values"):
            return changes
        found: dict[str, Value] | None = None
        for path, value in changes.items():
            if is_large(value):
                found = dict(changes) if found is None else found
                found[path] = self.objects.put(value)
            elif isinstance(value, Reference) and value.scheme == OBJECT_SCHEME:
                # A collection that is under way leaves alone what is named from now on.
                self.objects.keep_fresh(value)
                if not self.objects.has(value):
                    raise LocalError(
                        f"path {path!r} is given {shown(value)}, which is not here",
                        hint="graph.put_object() puts it here",
                    )
        return changes if found is None else found

    def _put_large(self, values: Iterable[Value]) -> None:
        """Keep the large ones of these values, whose commit has `as_kept` of them."""
        for value in filter(is_large, values):
            self.objects.put(value)

    def _want_objects_of(self, commits: Iterable[Commit]) -> None:
        """Commits made elsewhere are added: what they name and is not here is wanted."""
        references = [value for commit in commits for _, value in commit.changes if isinstance(value, Reference)]
        if references:
            self.objects.want(references)

    def _watch(self) -> Callable[[Segment], None]:
        """What a plane is to call with each segment of others, before it writes it."""

        def note(segment: Segment) -> None:
            references = segment.references(OBJECT_SCHEME)
            if references:
                self.objects.want(references)

        return note
