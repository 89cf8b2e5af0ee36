"""A git repository as the import needs it: refs, and the parents and texts of commits.

libgit2 reads the repository (packs, loose objects, alternates, linked worktrees). Two of its habits matter
here:

- It honours `shallow` and `info/grafts`, which make it report other parents than the commit names. A commit's
  id depends on its parents, so a repository with either is refused instead of imported with wrong ids.
- It refuses repositories with extensions it does not know. A partial clone (`git clone --filter=...`) has all
  its commits, so that one is allowed, and a missing tree or file is an error once it is needed.

Object ids travel as their 20 bytes: a million of them fit, a million libgit2 objects do not.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import pygit2

from crdtgraph.canonical import INT64_MAX, INT64_MIN
from crdtgraph.errors import LocalError, NotFoundError
from crdtgraph.gitbridge.texts import decode_message, decode_text, escape_name

GitOid = bytes
"""The 20 bytes of a git object id."""

OBJECT_ERRORS = (pygit2.GitError, KeyError, ValueError)
"""What libgit2 raises for an object that is missing, damaged or not of the expected type."""

LEDGER_REF = "refs/crdtgraph/ledger"
"""Leads to no commit but to what else an export wrote."""

_BRANCHES = b"refs/heads/"
_TAGS = b"refs/tags/"
_READABLE_EXTENSIONS = ("partialclone",)
_MICROSECONDS = 1_000_000


class GitHistoryError(LocalError):
    """A repository that cannot be imported as it is: shallow, grafted, empty or not readable."""


class GitObjectError(LocalError):
    """An object of the repository that is needed is missing or damaged."""


@dataclass(frozen=True, slots=True)
class GitRef:
    """A branch or tag: the name it gets in the graph and the commit it leads to."""

    name: str
    oid: GitOid


@dataclass(frozen=True, slots=True)
class GitRefs:
    """What a repository's refs lead to.

    `named` are the branches ("main") and tags ("tags/v1"), sorted by name; `tips` are the commits of all refs
    of any kind and of HEAD, each once; `skipped` are the full names of refs that lead to no commit.
    """

    named: tuple[GitRef, ...]
    tips: tuple[GitOid, ...]
    skipped: tuple[str, ...]


class GitHistory:
    """The history of one git repository, open for reading."""

    def __init__(self, repository: pygit2.Repository, path: str) -> None:
        self.repository = repository
        self.path = path

    @classmethod
    def open(cls, path: str | os.PathLike[str]) -> GitHistory:
        """Open the repository at a path: bare, a working copy, or any folder inside one.

        Raises NotFoundError if there is none, and GitHistoryError if it is shallow, uses grafts, belongs to
        another user, or is in a format that libgit2 cannot read.
        """
        text = os.fspath(path)
        _allow_extensions()
        try:
            found = pygit2.discover_repository(text)
            repository = pygit2.Repository(found) if found else None
        except OBJECT_ERRORS as failure:
            raise _unreadable(text, failure) from None
        if repository is None:
            hint = "clone it first: git clone " + text if "://" in text else "give a folder that `git -C` accepts"
            raise NotFoundError(f"{text} is not a git repository", hint=hint)
        if repository.is_shallow:
            raise GitHistoryError(
                f"{text} is a shallow clone: the parents of its oldest commits are missing",
                hint=f"fetch the rest first: git -C {text} fetch --unshallow",
            )
        if _has_grafts(repository):
            raise GitHistoryError(
                f"{text} uses grafts, which change the parents of commits",
                hint=f"turn them into replacements: git -C {text} replace --convert-graft-file",
            )
        return cls(repository, text)

    def refs(self) -> GitRefs:
        """All that refs and HEAD (detached or not) lead to; annotated tags are followed to their commit.

        A branch called `tags/x` would get the name of a tag `x`; if both exist the tag has it and the branch
        is skipped. Raises GitHistoryError if nothing leads to a commit, and GitObjectError for a ref whose
        object is missing. Cost: one lookup a ref.
        """
        named: dict[str, GitOid] = {}
        tips: dict[GitOid, None] = {}
        skipped: list[str] = []
        has_ledger = False
        head = self._head()
        if head is not None:
            tips[head] = None
        try:
            references = sorted(self.repository.references.iterator(), key=lambda each: bytes(each.raw_name))
        except OBJECT_ERRORS as failure:
            raise _unreadable(self.path, failure) from None
        for reference in references:
            full_name = bytes(reference.raw_name)
            if full_name == LEDGER_REF.encode():
                has_ledger = True
                continue
            oid = self.peeled(reference)
            if oid is not None:
                tips[oid] = None
            name = _name_in_graph(full_name)
            if oid is None or (name in named and full_name.startswith(_BRANCHES)):
                skipped.append(full_name.decode("utf-8", errors="replace"))
            elif name is not None:
                # Tags sort behind branches, so here a tag takes over from a branch of its name.
                if name in named:
                    skipped.append(f"refs/heads/{name}")
                named[name] = oid
        if not tips and not has_ledger:
            raise GitHistoryError(
                f"{self.path} has no commits: no ref and no HEAD leads to one",
                hint="make a first commit, or check that this is the repository you mean",
            )
        return GitRefs(
            named=tuple(GitRef(name, oid) for name, oid in sorted(named.items())),
            tips=tuple(tips),
            skipped=tuple(skipped),
        )

    def parents(self, oid: GitOid) -> tuple[GitOid, ...]:
        """The parents in order; one that is named twice, which git tolerates, counts once."""
        return tuple(dict.fromkeys(parent.raw for parent in self.commit(oid).parent_ids))

    def texts(self, oid: GitOid) -> tuple[str, int, str]:
        """Author as "Name <address>", author time in microseconds since the epoch, and message of a commit.

        Leading blank lines of the message are dropped, as git does when it shows one. Times beyond 64 bits,
        which only hand-made commits have, become the first or last representable moment.
        """
        commit = self.commit(oid)
        encoding = commit.message_encoding
        author = commit.author
        name, address = decode_text(author.raw_name, encoding), decode_text(author.raw_email, encoding)
        time = min(max(author.time * _MICROSECONDS, INT64_MIN), INT64_MAX)
        return f"{name} <{address}>", time, decode_message(commit.raw_message, encoding)

    def commit(self, oid: GitOid) -> pygit2.Commit:
        """The commit object; raises GitObjectError if it is missing, damaged or not a commit."""
        try:
            found = self.repository[pygit2.Oid(raw=oid)]
        except OBJECT_ERRORS as failure:
            raise self.object_error(oid, failure) from None
        if found.type != pygit2.enums.ObjectType.COMMIT:
            raise GitObjectError(f"{oid.hex()} in {self.path} is no commit but a {found.type_str}")
        return cast(pygit2.Commit, found)

    def file_size(self, oid: GitOid) -> int:
        """The bytes that a file's object has, from its header alone; raises GitObjectError."""
        try:
            size: int = self.repository.odb.read_header(pygit2.Oid(raw=oid))[1]
        except OBJECT_ERRORS as failure:
            raise self.object_error(oid, failure) from None
        return size

    def file_content(self, oid: GitOid) -> bytes:
        """The bytes of a file's object; raises GitObjectError."""
        try:
            return cast(pygit2.Blob, self.repository[pygit2.Oid(raw=oid)]).data
        except OBJECT_ERRORS as failure:
            raise self.object_error(oid, failure) from None

    def object_error(self, oid: GitOid, failure: Exception) -> GitObjectError:
        """The error for an object that could not be read, naming it and its repository."""
        if isinstance(failure, KeyError) or pygit2.Oid(raw=oid) not in self.repository.odb:
            return GitObjectError(
                f"object {oid.hex()} is missing from {self.path}",
                hint="a partial clone lacks trees and files: import it without trees, or clone it in full; "
                f"otherwise see what is wrong: git -C {self.path} fsck",
            )
        return GitObjectError(
            f"object {oid.hex()} in {self.path} cannot be read: {failure}",
            hint=f"see what is wrong: git -C {self.path} fsck",
        )

    def _head(self) -> GitOid | None:
        repository = self.repository
        try:
            if repository.head_is_unborn:
                return None
            return repository.head.peel(pygit2.Commit).id.raw
        except OBJECT_ERRORS as failure:
            raise GitObjectError(
                f"HEAD of {self.path} leads nowhere: {failure}",
                hint=f"see what is wrong: git -C {self.path} fsck",
            ) from None

    def peeled(self, reference: pygit2.Reference) -> GitOid | None:
        """The commit behind a ref; None for a dangling symbolic ref and for a tag of a tree or a file."""
        try:
            direct = reference.resolve()
        except OBJECT_ERRORS:
            return None
        oid = pygit2.Oid(hex=str(direct.target))
        while True:
            try:
                found: object = self.repository[oid]
            except OBJECT_ERRORS as failure:
                raise self.object_error(oid.raw, failure) from None
            if not isinstance(found, pygit2.Tag):
                return oid.raw if isinstance(found, pygit2.Commit) else None
            oid = found.target


def _name_in_graph(full_name: bytes) -> str | None:
    if full_name.startswith(_BRANCHES):
        return escape_name(full_name[len(_BRANCHES) :])
    if full_name.startswith(_TAGS):
        return "tags/" + escape_name(full_name[len(_TAGS) :])
    return None


def _allow_extensions() -> None:
    known = list(pygit2.option(pygit2.enums.Option.GET_EXTENSIONS))
    missing = [extension for extension in _READABLE_EXTENSIONS if extension not in known]
    if missing:
        pygit2.option(pygit2.enums.Option.SET_EXTENSIONS, known + missing, len(known) + len(missing))


def _has_grafts(repository: pygit2.Repository) -> bool:
    # The folder that all linked worktrees share; `path` is the one of this worktree.
    folder = Path(repository.path)
    pointer = folder / "commondir"
    if pointer.is_file():
        folder = folder / pointer.read_text(encoding="utf-8").strip()
    grafts = folder / "info" / "grafts"
    return grafts.is_file() and grafts.stat().st_size > 0


def _unreadable(path: str, failure: Exception) -> LocalError:
    hint = f"see what git says: git -C {path} fsck"
    if "not owned by current user" in str(failure):
        hint = f"if you trust it: git config --global --add safe.directory {path}"
    elif "sha256" in str(failure):
        hint = "only repositories with SHA-1 object ids can be read"
    return GitHistoryError(f"{path} cannot be read as a git repository: {failure}", hint=hint)
