"""The states of a graph as git trees, one built on the other.

A `StateTree` is a tree of folders that shares everything with the state it was made from but the folders on the way to
what changed, so the states of a whole history take little more memory than the last one, and each costs no more than
its commit's changes. Its git tree follows from the state alone: two replicas make the same objects.

| in the state | in the tree |
| --- | --- |
| bytes | a file; executable or a symbolic link if `.git/modes/PATH` says so (`changes.py`) |
| `Reference("git-commit", 20 bytes, ...)` | a submodule |
| any other `Reference` | a file that names it (`placeholder`): what it refers to is kept elsewhere |

`names.py` says how paths become names.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

from crdtgraph.gitbridge.changes import EXECUTABLE, SUBMODULE, SUBMODULE_SCHEME, SYMBOLIC_LINK
from crdtgraph.gitbridge.history import GitOid
from crdtgraph.gitbridge.names import clash_name, tree_names
from crdtgraph.gitbridge.texts import MODES_PREFIX
from crdtgraph.records import Reference, Value

FILE = 0o100644
BLOB, TREE = b"blob", b"tree"


class Write(Protocol):
    """Takes an object somewhere."""

    def __call__(self, kind: bytes, data: bytes, base: GitOid | None = None, /) -> GitOid:
        """Take an object of a kind, which may be much like another one, and give its id."""
        ...


_OID_BYTES = 20
_MODES: dict[Value, int] = {f"{mode:o}".encode(): mode for mode in (EXECUTABLE, SYMBOLIC_LINK)}


class _Folder:
    """What is below a name: `leaf` if the name is a path itself, and the folder's own names.

    `oid` is the id of its git tree when the folder of modes beside it is `modes`; `before` that of the folder that it
    was copied from. Only the change that made a folder, its `owner`, may alter it.
    """

    __slots__ = ("before", "leaf", "modes", "names", "oid", "owner")

    def __init__(
        self,
        owner: object,
        leaf: tuple[int, GitOid] | None,
        names: dict[bytes, _Folder],
        before: GitOid | None = None,
    ) -> None:
        self.owner = owner
        self.leaf = leaf
        self.names = names
        self.before = before
        self.modes: _Folder | None = None
        self.oid: GitOid | None = None


@dataclass(frozen=True, slots=True)
class StateTree:
    """One state; never changed once it is made."""

    files: _Folder
    modes: _Folder

    @classmethod
    def empty(cls) -> StateTree:
        """The state without any path."""
        return cls(_Folder(None, None, {}), _Folder(None, None, {}))

    def changed(self, changes: Iterable[tuple[str, Value]], write: Write) -> StateTree:
        """The state after some changes, whose contents are written. O(changes x names in the folders on their way)."""
        owner = object()
        files, modes = self.files, self.modes
        for path, value in changes:
            mode = None
            if path.startswith(MODES_PREFIX) and path != MODES_PREFIX:
                mode = _MODES.get(value)
                modes = _put(modes, tree_names(path[len(MODES_PREFIX) :]), None if mode is None else (mode, b""), owner)
            names = tree_names(path)
            leaf = None if mode is not None else _leaf(value, _leaf_at(files, names), write)
            files = _put(files, names, leaf, owner)
        return StateTree(files, modes)

    def oid(self, write: Write) -> GitOid:
        """The id of its git tree; writes the trees of those folders that are new."""
        return _tree(self.files, self.modes, write)


def placeholder(reference: Reference) -> bytes:
    """The content of the file that stands for what a reference refers to."""
    lines = ("crdtgraph reference", f"scheme {reference.scheme}", f"digest {reference.digest.hex()}")
    return "\n".join((*lines, f"size {reference.size}", "")).encode()


def _leaf(value: Value, before: tuple[int, GitOid] | None, write: Write) -> tuple[int, GitOid] | None:
    if value is None:
        return None
    if isinstance(value, bytes):
        return FILE, write(BLOB, value, None if before is None else before[1])
    if value.scheme == SUBMODULE_SCHEME and len(value.digest) == _OID_BYTES:
        return SUBMODULE, value.digest
    return FILE, write(BLOB, placeholder(value))


def _put(root: _Folder, names: Sequence[bytes], leaf: tuple[int, GitOid] | None, owner: object) -> _Folder:
    """The folder with the leaf at these names, or without one; what is left empty goes."""
    if leaf is None and _leaf_at(root, names) is None:
        return root
    root = folder = _owned(root, owner)
    way = [root]
    for name in names:
        below = folder.names.get(name)
        below = _Folder(owner, None, {}) if below is None else _owned(below, owner)
        folder.names[name] = folder = below
        way.append(folder)
    folder.leaf = leaf
    for above, name in zip(reversed(way[:-1]), reversed(names), strict=True):
        below = above.names[name]
        if below.leaf is not None or below.names:
            break
        del above.names[name]
    return root


def _leaf_at(folder: _Folder, names: Sequence[bytes]) -> tuple[int, GitOid] | None:
    for name in names:
        below = folder.names.get(name)
        if below is None:
            return None
        folder = below
    return folder.leaf


def _owned(folder: _Folder, owner: object) -> _Folder:
    if folder.owner is owner:
        folder.oid = None
        return folder
    return _Folder(owner, folder.leaf, dict(folder.names), folder.oid or folder.before)


def _tree(folder: _Folder, modes: _Folder | None, write: Write) -> GitOid:
    if folder.oid is not None and folder.modes is modes:
        return folder.oid
    entries: list[tuple[bytes, bytes]] = []
    for name, below in folder.names.items():
        modes_below = None if modes is None else modes.names.get(name)
        if below.names:
            # Git sorts a folder as if its name ended in a slash.
            entries.append((name + b"/", b"40000 %b\0%b" % (name, _tree(below, modes_below, write))))
        if below.leaf is not None:
            mode, oid = below.leaf
            if mode == FILE and modes_below is not None and modes_below.leaf is not None:
                mode = modes_below.leaf[0]
            shown = clash_name(name) if below.names else name
            entries.append((shown, b"%o %b\0%b" % (mode, shown, oid)))
    entries.sort()
    folder.modes = modes
    folder.oid = write(TREE, b"".join([entry for _, entry in entries]), folder.before)
    return folder.oid
