"""What a git commit changed, as the changes of a commit in the graph.

The comparison is with the tree of the *first* parent, or with nothing for a root, so that replaying the
changes along first parents gives every file tree back. A path's value is

| in git | value |
| --- | --- |
| file up to 64 KiB | its bytes |
| larger file | `Reference("git-blob", object id, size)` |
| symbolic link | the bytes of its target, and `.git/modes/PATH` says `120000` |
| executable file | its bytes, and `.git/modes/PATH` says `100755` |
| submodule | `Reference("git-commit", object id, 0)` |
| removed | None, and None for its `.git/modes/PATH` if it had one |

A file whose mode alone changed is recorded by its mode alone. `texts.py` says how odd names are written.

A record has a largest size. If the changes of one commit exceed it, the largest contents become references,
in descending order of size and then by path, until the rest fits. If not even the names fit, the only change
is `.git/tree`, a reference to the whole tree: from there on the recorded state is known to be incomplete.

Every number here is part of what an imported commit is: changing one changes ids.
"""

from __future__ import annotations

import pygit2

from crdtgraph.gitbridge.history import OBJECT_ERRORS, GitHistory, GitOid
from crdtgraph.gitbridge.texts import MESSAGE_BYTES_MAX, MODES_PREFIX, WHOLE_TREE_PATH, escape_name
from crdtgraph.records import RECORD_BYTES_MAX, Reference, Value, changes_bytes, ordered_changes

CONTENT_BYTES_MAX = 64 << 10
"""A larger file is recorded by reference."""
CHANGES_BYTES_MAX = 5 << 19
"""2.5 MiB for all changes of a commit in canonical form; with the longest message and 1,000 parents the
record stays below RECORD_BYTES_MAX."""
REFERENCE_BYTES_MAX = 64
"""No reference takes more in canonical form, so replacing a content of this size gains nothing."""

BLOB_SCHEME = "git-blob"
SUBMODULE_SCHEME = "git-commit"
TREE_SCHEME = "git-tree"

EXECUTABLE = 0o100755
SYMBOLIC_LINK = 0o120000
SUBMODULE = 0o160000
_DELETED = "D"

assert CHANGES_BYTES_MAX + MESSAGE_BYTES_MAX <= RECORD_BYTES_MAX * 7 // 8

Changes = tuple[tuple[str, Value], ...]


def changes_of(history: GitHistory, oid: GitOid) -> Changes:
    """The changes of a commit against its first parent, in canonical order and within the limits above.

    Raises GitObjectError if a tree or a file that is needed is missing. Cost: the trees that differ, and one
    read of each changed file of up to CONTENT_BYTES_MAX.
    """
    commit = history.commit(oid)
    parent = history.commit(commit.parent_ids[0].raw) if commit.parent_ids else None
    if parent is not None and parent.tree_id == commit.tree_id:
        return ()
    try:
        if parent is None:
            deltas = list(commit.tree.diff_to_tree(swap=True).deltas)
        else:
            flags = pygit2.enums.DiffOption.INCLUDE_TYPECHANGE
            deltas = list(parent.tree.diff_to_tree(commit.tree, flags).deltas)
    except OBJECT_ERRORS as failure:
        raise history.object_error(commit.tree_id.raw, failure) from None
    values: dict[str, Value] = {}
    blobs: dict[str, tuple[GitOid, int]] = {}
    for delta in deltas:
        _record(history, delta, values, blobs)
    return _within_limit(ordered_changes(values), blobs, commit.tree_id.raw)


def _record(
    history: GitHistory,
    delta: pygit2.DiffDelta,
    values: dict[str, Value],
    blobs: dict[str, tuple[GitOid, int]],
) -> None:
    old, new = delta.old_file, delta.new_file
    path = escape_name(bytes(old.raw_path if delta.status_char() == _DELETED else new.raw_path))
    old_mode, new_mode = _special_mode(old.mode), _special_mode(new.mode)
    if old_mode != new_mode:
        values[MODES_PREFIX + path] = new_mode
    if delta.status_char() == _DELETED:
        values[path] = None
    elif new.mode == SUBMODULE:
        values[path] = Reference(SUBMODULE_SCHEME, new.id.raw, 0)
    elif old.id != new.id or old.mode == SUBMODULE:
        oid = new.id.raw
        size = history.file_size(oid)
        blobs[path] = (oid, size)
        large = size > CONTENT_BYTES_MAX
        values[path] = Reference(BLOB_SCHEME, oid, size) if large else history.file_content(oid)


def _special_mode(mode: int) -> bytes | None:
    return f"{mode:o}".encode() if mode in (EXECUTABLE, SYMBOLIC_LINK) else None


def _within_limit(changes: Changes, blobs: dict[str, tuple[GitOid, int]], tree: GitOid) -> Changes:
    size = len(changes_bytes(changes))
    if size <= CHANGES_BYTES_MAX:
        return changes
    values = dict(changes)
    contents = [
        (-len(value), path)
        for path, value in changes
        if isinstance(value, bytes) and path in blobs and len(value) > REFERENCE_BYTES_MAX
    ]
    # Among contents of one size the order is that of `changes`, as the sort is stable.
    for negative_length, path in sorted(contents, key=lambda content: content[0]):
        values[path] = Reference(BLOB_SCHEME, *blobs[path])
        size += negative_length + REFERENCE_BYTES_MAX
        if size <= CHANGES_BYTES_MAX:
            return tuple(values.items())
    return ((WHOLE_TREE_PATH, Reference(TREE_SCHEME, tree, 0)),)
