"""The segments of a replica within an exported repository, so that an import ends on the same digest.

The commits of a graph can be read from the git commits (`identity.py`); who moved which ref when, counters, metadata
and signatures cannot. So the ref `refs/crdtgraph/ledger` points at a tree with the lines of `export jsonl` without
their records (`crdtgraph.interchange`), one file each. Git draws no trees, and copies none that nobody asks for: a
clone has only the commits.

| file | line |
| --- | --- |
| `1-header` | the header |
| `2-places/PLANE/WRITER/SEQ` | a segment, or compacted places from that one on |
| `3-beside/PLANE/NUMBER` | a segment that lies beside the document |
| `4-footer` | the footer |
| `refs` | the refs that the export wrote, each as `OID NAME` |

WRITER has 14 digits and SEQ 8, so that git's order of names is that of the lines.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, cast

import pygit2

from crdtgraph.errors import LocalError, RemoteError
from crdtgraph.gitbridge.history import LEDGER_REF, OBJECT_ERRORS, GitHistoryError, GitOid
from crdtgraph.gitbridge.names import tree_names
from crdtgraph.gitbridge.packs import object_id
from crdtgraph.gitbridge.trees import BLOB, FILE, TREE, Write
from crdtgraph.ids import SegmentKey
from crdtgraph.interchange.reading import read_lines
from crdtgraph.interchange.rows import Row, text_of
from crdtgraph.interchange.writing import export_rows

if TYPE_CHECKING:
    from crdtgraph.graph import Graph

_HEADER, _PLACES, _BESIDE, _FOOTER, _REFS = b"1-header", b"2-places", b"3-beside", b"4-footer", b"refs"
_Names = tuple[bytes, ...]
_Folder = dict[bytes, "GitOid | _Folder"]


def write_ledger(graph: Graph, refs: Mapping[str, GitOid], before: pygit2.Tree | None, write: Write) -> GitOid:
    """The id of a tree with all segments of a graph; what the tree `before` has is not written again.

    `refs` are the refs of this export, by full name. O(segments) to make, as far as they are new to write.
    """
    known = set(_oids(before)) if before is not None else set()

    def write_new(kind: bytes, data: bytes, _base: GitOid | None = None) -> GitOid:
        oid = object_id(kind, data)
        return oid if oid in known else write(kind, data)

    root: _Folder = {}
    for number, row in enumerate(export_rows(graph, with_records=False)):
        _put(root, _place(row, number), write_new(BLOB, text_of(row).encode() + b"\n"))
    listed = "".join(f"{oid.hex()} {name}\n" for name, oid in sorted(refs.items()))
    _put(root, (_REFS,), write_new(BLOB, listed.encode()))
    return _tree(root, write_new)


def read_ledger(repository: pygit2.Repository, path: str) -> Graph | None:
    """The graph whose segments lie in a repository, in memory and verified; None if there are none.

    Raises RemoteError if they are not what an export wrote.
    """
    tree = ledger_tree(repository)
    if tree is None:
        return None
    try:
        return read_lines(_lines(tree))
    except (RemoteError, LocalError) as failure:
        raise RemoteError(
            f"{LEDGER_REF} of {path} is damaged: {failure}",
            hint="export it again, or delete that ref to have the commits",
        ) from None
    except OBJECT_ERRORS as failure:
        raise GitHistoryError(f"{LEDGER_REF} of {path} is incomplete: {failure}", hint="see: git fsck") from None


def ledger_tree(repository: pygit2.Repository) -> pygit2.Tree | None:
    """The tree that the ledger's ref points at, if there is one."""
    if LEDGER_REF not in repository.references:
        return None
    found = repository[repository.references[LEDGER_REF].target]
    return found if isinstance(found, pygit2.Tree) else None


def refs_written(tree: pygit2.Tree | None) -> dict[str, GitOid]:
    """The refs that the export which wrote this ledger left behind, by full name."""
    if tree is None or _REFS.decode() not in tree:
        return {}
    lines = cast(pygit2.Blob, tree[_REFS.decode()]).data.decode().splitlines()
    pairs = [line.partition(" ") for line in lines]
    return {name: bytes.fromhex(oid) for oid, _, name in pairs}


def _place(row: Row, number: int) -> _Names:
    match row["type"]:
        case "header":
            return (_HEADER,)
        case "footer":
            return (_FOOTER,)
        case "segment" if row["beside"]:
            return _BESIDE, *_plane(row), b"%08d" % number
        case "segment":
            key = SegmentKey.parse(str(row["key"]))
        case _:
            key = SegmentKey.parse(f"{row['writer']}-{row['first']:x}")
    return _PLACES, *_plane(row), b"%014x" % key.writer, b"%08x" % key.seq


def _plane(row: Row) -> _Names:
    return tree_names(str(row["plane"]))


def _put(root: _Folder, names: _Names, oid: GitOid) -> None:
    folder = root
    for name in names[:-1]:
        below = folder.setdefault(name, {})
        assert isinstance(below, dict)
        folder = below
    folder[names[-1]] = oid


def _tree(folder: _Folder, write: Write) -> GitOid:
    entries = []
    for name, below in folder.items():
        if isinstance(below, dict):
            entries.append((name + b"/", b"40000 %b\0%b" % (name, _tree(below, write))))
        else:
            entries.append((name, b"%o %b\0%b" % (FILE, name, below)))
    return write(TREE, b"".join([entry for _, entry in sorted(entries)]))


def _oids(tree: pygit2.Tree) -> Iterator[GitOid]:
    yield tree.id.raw
    for entry in tree:
        if isinstance(entry, pygit2.Tree):
            yield from _oids(entry)
        else:
            yield entry.id.raw


def _lines(tree: pygit2.Tree) -> Iterator[bytes]:
    for entry in tree:
        if isinstance(entry, pygit2.Tree):
            yield from _lines(entry)
        elif isinstance(entry, pygit2.Blob) and entry.name != _REFS.decode():
            yield entry.data
