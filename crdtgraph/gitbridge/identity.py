"""A commit of the graph as a git commit that can be turned back into the very same one.

Git's own fields are the same as far as git can hold them. What it cannot hold goes into a header that git passes over:

    crdtgraph ID SEAL REST

ID is the commit's id, REST the base64 of canonical CBOR

    [1, time, author or none, message or none, changes, origin]

with none where git's field says the same, and changes as [path, value]: none removes the path, up to 20 bytes stand
there themselves, [oid] is the git blob of more, [scheme, digest, size] a reference. The parents are those of the git
commit. SEAL is the first 20 bytes of the SHA-256 of the git commit without this header: tools that alter a commit, such
as `git commit --amend`, copy headers that they do not know, and the seal tells that what they made is another commit.

| field | in git |
| --- | --- |
| author | `NAME <ADDRESS>` as it is; any other text as the name, `<`, `>` and control characters replaced, and `<>` |
| time | seconds, rounded down, in UTC; 0 for a time before 1970 |
| message | as it is; NUL as U+2400 |
| committer | the author |
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from crdtgraph.canonical import RemoteEncodingError, decode, encode
from crdtgraph.errors import RemoteError
from crdtgraph.gitbridge.history import GitOid
from crdtgraph.gitbridge.packs import object_id
from crdtgraph.gitbridge.trees import BLOB
from crdtgraph.ids import CommitId
from crdtgraph.records import Commit, Reference, Value

HEADER = b"crdtgraph"
VERSION = 1
INLINE_BYTES_MAX = 20
"""A longer content is named by the id of its blob, which is in the commit's own tree."""

_SEAL_BYTES = 20
_MICROSECONDS = 1_000_000
_IDENTITY = re.compile("[^<>\n\0]* <[^<>\n\0]*>")
_SHOWN = {code: chr(0x2400 + code) for code in range(0x20)} | {ord("<"): "\u2039", ord(">"): "\u203a"}
_HEADER_LINE = re.compile(rb"^crdtgraph ([0-9a-f]{64}) ([0-9a-f]{40}) ([A-Za-z0-9+/=]+)\n", re.MULTILINE)


class RemoteIdentityError(RemoteError):
    """An exported commit whose header and content do not belong together."""


@dataclass(frozen=True, slots=True)
class ExportedCommit:
    """What the header of a git commit says: the id in the graph, and what git's own fields do not hold."""

    id: CommitId
    rest: bytes
    message: bytes
    author: bytes


def commit_object(commit_id: CommitId, commit: Commit, tree: GitOid, parents: Sequence[GitOid]) -> bytes:
    """The content of the git commit that a commit becomes. About 8 us."""
    author, message = _git_author(commit.author), commit.message.replace("\0", "\u2400")
    who = b"%b %d +0000\n" % (author.encode(), max(0, commit.time // _MICROSECONDS))
    lines = [b"tree %b\n" % tree.hex().encode()]
    lines += [b"parent %b\n" % parent.hex().encode() for parent in parents]
    lines += [b"author ", who, b"committer ", who]
    head, body = b"".join(lines), b"\n" + message.encode()
    rest = encode(
        [
            VERSION,
            commit.time,
            None if author == commit.author else commit.author,
            None if message == commit.message else commit.message,
            [[path, _value_to_rest(value)] for path, value in commit.changes],
            commit.origin,
        ]
    )
    fields = (HEADER, commit_id.hex().encode(), _seal(head, body).hex().encode(), base64.b64encode(rest))
    return head + b" ".join(fields) + b"\n" + body


def exported_commit(data: bytes) -> ExportedCommit | None:
    """What the header of a git commit says, or None: without one, or if its seal does not fit the commit (any more)."""
    end = data.find(b"\n\n") + 1
    found = _HEADER_LINE.search(data, 0, end) if end else None
    if found is None:
        return None
    head, body = data[: found.start()] + data[found.end() : end], data[end:]
    if _seal(head, body).hex().encode() != found[2]:
        return None
    author = re.search(rb"^author (.*) -?\d+ [+-]\d{4}\n", head, re.MULTILINE)
    try:
        rest = base64.b64decode(found[3], validate=True)
    except binascii.Error:
        return None
    return ExportedCommit(CommitId(bytes.fromhex(found[1].decode())), rest, body[1:], author[1] if author else b"")


def restore(exported: ExportedCommit, parents: Sequence[CommitId], content: Callable[[GitOid], bytes]) -> Commit:
    """The commit of the graph; `content` reads a blob.

    Raises RemoteIdentityError unless it has the id that the header says.
    """
    try:
        commit = _restored(exported, parents, content)
        if commit.id == exported.id:
            return commit
    except (RemoteEncodingError, UnicodeDecodeError) as failure:
        raise _refused(exported, str(failure)) from None
    except (TypeError, ValueError, AttributeError, OverflowError):
        raise _refused(exported, "its fields have other types or lengths") from None
    raise _refused(exported, f"its content has id {commit.id.hex()}")


def _restored(exported: ExportedCommit, parents: Sequence[CommitId], content: Callable[[GitOid], bytes]) -> Commit:
    fields = decode(exported.rest)
    if type(fields) is not list or len(fields) != 6 or type(fields[0]) is not int or fields[0] != VERSION:
        raise RemoteEncodingError("it is not of a version that this software reads")
    _, time, author, message, changes, origin = fields
    draft = Commit(
        tuple(parents),
        exported.author.decode() if author is None else author,
        time,
        exported.message.decode() if message is None else message,
        tuple([(path, _value_from_rest(value, content)) for path, value in changes]),
        origin,
    )
    # Through canonical bytes, which checks every type and limit.
    return Commit.from_canonical(draft.canonical())


def _refused(exported: ExportedCommit, reason: str) -> RemoteIdentityError:
    return RemoteIdentityError(
        f"a git commit says that it is commit {exported.id.hex()}, and {reason}",
        hint="the repository was tampered with; export it again",
    )


def _value_to_rest(value: Value) -> object:
    if isinstance(value, Reference):
        return [value.scheme, value.digest, value.size]
    return [object_id(BLOB, value)] if value is not None and len(value) > INLINE_BYTES_MAX else value


def _value_from_rest(value: object, content: Callable[[GitOid], bytes]) -> Value:
    if isinstance(value, list):
        if len(value) == 1:
            return content(value[0])
        return Reference(*value)
    if value is not None and not isinstance(value, bytes):
        raise RemoteEncodingError(f"a changed path has a value of type {type(value).__name__}")
    return value


def _git_author(author: str) -> str:
    if _IDENTITY.fullmatch(author):
        return author
    return f"{author.translate(_SHOWN)} <>"


def _seal(head: bytes, body: bytes) -> bytes:
    return hashlib.sha256(head + body).digest()[:_SEAL_BYTES]
