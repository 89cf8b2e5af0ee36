"""Commits, refs and values as the lines that people read and the documents that programs do."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, TypeAlias

from cli.render import moment, one_line, paint, printable

if TYPE_CHECKING:
    from cli.answers import KnownCommit, KnownRef
    from crdtgraph.ids import CommitId
    from crdtgraph.records import Value

SHORT_DIGITS = 12
"""Of ids that are shown: enough that among a million commits two alike are a rarity."""

Labels: TypeAlias = "Mapping[CommitId, Sequence[str]]"
"""The refs at each commit, a conflicted one with a question mark, as in jj."""


def labels_of(refs: Sequence[KnownRef]) -> Labels:
    """What to print beside commits that refs point at."""
    labels: dict[CommitId, list[str]] = {}
    for ref in refs:
        for target in ref.targets:
            labels.setdefault(target, []).append(ref.name + "??" * ref.conflicted)
    return labels


def short(commit: CommitId) -> str:
    """An id cut to a length that is good to read."""
    return commit.hex()[:SHORT_DIGITS]


def commit_line(known: KnownCommit, labels: Labels) -> str:
    """One commit on one line: id, time, author, refs, and the first line of the message."""
    commit = known.commit
    author = one_line(commit.author.partition(" <")[0])[:20]
    parts = [paint(short(known.id), "id"), moment(commit.time)[:16], author.ljust(12)]
    if known.id in labels:
        parts.append(paint("(" + ", ".join(printable(name) for name in labels[known.id]) + ")", "ref"))
    return "  ".join([*parts, one_line(commit.message) or paint("(no message)", "faint")])


def commit_lines(known: KnownCommit, labels: Labels) -> Iterator[str]:
    """The head of one commit, as `git show` has it."""
    commit = known.commit
    yield paint(f"commit {known.id.hex()}", "id")
    if known.id in labels:
        yield f"Refs:    {', '.join(printable(name) for name in labels[known.id])}"
    if commit.parents:
        yield f"Parents: {' '.join(short(parent) for parent in commit.parents)}"
    yield f"Author:  {one_line(commit.author)}"
    yield f"Date:    {moment(commit.time)}"
    if commit.origin:
        yield f"Origin:  {one_line(commit.origin)}"


def changed_lines(known: KnownCommit) -> Iterator[str]:
    """Its message, and the paths that it changed."""
    commit = known.commit
    if commit.message:
        yield ""
        yield from (f"    {line}".rstrip() for line in printable(commit.message).rstrip("\n").split("\n"))
    if commit.changes:
        yield ""
        yield from (change_line(path, value) for path, value in commit.changes)


def change_line(path: str, value: Value) -> str:
    """A changed path, with what it became."""
    return f" {'-' if value is None else '*'} {printable(path)}  {paint(value_text(value), 'faint')}"


def value_text(value: Value) -> str:
    """What a path holds, in a few words."""
    if value is None:
        return "removed"
    if isinstance(value, bytes):
        return f"{len(value)} bytes"
    return f"{printable(value.scheme)}:{value.digest.hex()} ({value.size} bytes)"


def commit_document(known: KnownCommit, labels: Labels) -> dict[str, object]:
    """A commit for a program; `time` is microseconds since the epoch."""
    commit = known.commit
    return {
        "id": known.id.hex(),
        "parents": [parent.hex() for parent in commit.parents],
        "author": commit.author,
        "time": commit.time,
        "message": commit.message,
        "origin": commit.origin,
        "refs": [name.removesuffix("??") for name in labels.get(known.id, ())],
        "changes": [{"path": path, **value_document(value)} for path, value in commit.changes],
    }


def ref_document(ref: KnownRef) -> dict[str, object]:
    """A ref for a program; `targets` has the winner first."""
    return {
        "name": ref.name,
        "target": ref.targets[0].hex(),
        "targets": [target.hex() for target in ref.targets],
        "conflicted": ref.conflicted,
    }


def value_document(value: Value) -> dict[str, object]:
    """What a path holds, for a program: `text` (or `base64`), `reference`, or `removed`."""
    if value is None:
        return {"removed": True}
    if not isinstance(value, bytes):
        digest = value.digest.hex()
        return {"size": value.size, "reference": {"scheme": value.scheme, "digest": digest}}
    try:
        return {"size": len(value), "text": value.decode()}
    except UnicodeDecodeError:
        import base64

        return {"size": len(value), "base64": base64.b64encode(value).decode()}
