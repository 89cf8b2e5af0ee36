"""What a commit looks like in a drawing: its texts made fit for any format, its refs, its time.

Formats of graphs are read by programs that take no control characters, XML among them. Here those of ASCII become their
pictures (U+2400 and what follows), all others the replacement character; nothing of it is ever read back.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import islice

from crdtgraph.ids import CommitId
from crdtgraph.reader import Reader
from crdtgraph.records import Commit

SUBJECT_CHARACTERS_MAX = 120
"""Of the first line of a message."""

Progress = Callable[[int, int], object]
"""Called with the commits that are done and those that there are in all."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_CHUNK_COMMITS = 1_000
_PICTURES = {code: chr(0x2400 + code) for code in range(0x20)} | {0x7F: "\u2421"}
_NOWHERE = dict.fromkeys((*range(0x80, 0xA0), 0x2028, 0x2029, *range(0xFDD0, 0xFDF0)), "\ufffd")
_TABLE = str.maketrans(
    _PICTURES | _NOWHERE | {plane << 16 | low: "\ufffd" for plane in range(17) for low in (0xFFFE, 0xFFFF)}
)


@dataclass(frozen=True, slots=True)
class DrawnCommit:
    """A commit with what is drawn of it. `refs` point at it, those in conflict end in "??"; `counters` may be empty."""

    id: CommitId
    parents: tuple[CommitId, ...]
    short: str
    commit: Commit
    refs: tuple[str, ...]
    is_live: bool
    counters: tuple[int, ...]

    @property
    def author(self) -> str:
        """The author, on one line."""
        return visible(self.commit.author)

    @property
    def subject(self) -> str:
        """The first line of the message, cut to a length that fits into a box."""
        line = self.commit.message.strip().partition("\n")[0]
        cut = line if len(line) <= SUBJECT_CHARACTERS_MAX else line[: SUBJECT_CHARACTERS_MAX - 1] + "\u2026"
        return visible(cut)


def drawn_commits(reader: Reader, progress: Progress | None = None) -> Iterator[DrawnCommit]:
    """All commits, newest first and children before parents, in memory for a thousand."""
    labels: dict[CommitId, list[str]] = {}
    for name, ref in sorted(reader.refs.items()):
        for target in ref.targets:
            labels.setdefault(target, []).append(visible(name) + "??" * ref.conflicted)
    commits = reader.newest_first()
    done = 0
    while chunk := list(islice(commits, _CHUNK_COMMITS)):
        yield from _drawn(reader, chunk, labels)
        done += len(chunk)
        if progress is not None:
            progress(done, len(reader))


def visible(text: str) -> str:
    """The text without any character that would act instead of being seen."""
    return text if text.isprintable() else text.translate(_TABLE)


def moment(microseconds: int) -> str:
    """A time since the epoch as ISO 8601 in UTC with microseconds; "" for one that no calendar holds."""
    try:
        return (_EPOCH + timedelta(microseconds=microseconds)).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    except (OverflowError, ValueError):
        return ""


def _drawn(reader: Reader, ids: Sequence[CommitId], labels: dict[CommitId, list[str]]) -> Iterator[DrawnCommit]:
    for commit_id, short, commit in zip(ids, reader.shorts(ids), reader.get_many(ids), strict=True):
        yield DrawnCommit(
            commit_id,
            reader.parents(commit_id),
            short,
            commit,
            tuple(labels.get(commit_id, ())),
            reader.is_live(commit_id),
            reader.counters(commit_id),
        )
