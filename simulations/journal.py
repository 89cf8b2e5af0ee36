"""What the programs on all machines were told, kept outside of the system under test.

A record is noted when the call that made it returned, under the writer that made it, and is *acknowledged* once the
graph said that it is durable. Records of one writer become durable in order, so one number a writer says it all. A call
that raised may have reached the medium all the same (a disk that reports a failure and wrote); such records are
*doubtful*: neither demanded nor held against anyone.

Commits and discards are sets, whoever says them; assignments and counts belong to their writer, with multiplicity.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from simulations.model import Said

Record = tuple[str, object, object]
"""("commit", id, None), ("discard", commit, None), ("assign", "namespace key", value) or ("count", commit, vector)."""
SHARED = ("commit", "discard")
"""The kinds that are the same whoever says them."""


@dataclass(slots=True)
class WriterJournal:
    """One process's records in order; the first `acknowledged` of them are durable."""

    host: str
    made: list[Record] = field(default_factory=list)
    doubtful: list[Record] = field(default_factory=list)
    acknowledged: int = 0
    promised: set[bytes] = field(default_factory=set)
    """Commits in segments that were given to peers, as only what is durable may be."""
    is_at_home: bool = True
    """Whether the machine still has the disk that it wrote to."""

    def acknowledge(self) -> None:
        """Everything so far is durable."""
        self.acknowledged = len(self.made)

    @property
    def durable(self) -> list[Record]:
        """What nobody may lose."""
        return self.made[: self.acknowledged]


class Written(NamedTuple):
    """What the workload put into a commit, to be compared with what is read."""

    parents: tuple[bytes, ...]
    message: str
    changes: tuple[tuple[str, object], ...]


class Journal:
    """Everything that was said in one world, by writer number."""

    def __init__(self) -> None:
        self.writers: dict[int, WriterJournal] = {}
        self.written: dict[bytes, Written] = {}
        """By commit, where the workload chose what is in it."""
        self.merges: dict[tuple[bytes, ...], bytes] = {}
        """The commit that each set of heads was merged into; by the heads, in order."""

    def begin(self, writer: int, host: str) -> WriterJournal:
        """A process has started. If its number was used before, what had not become durable under it is doubtful."""
        journal = self.writers.setdefault(writer, WriterJournal(host))
        journal.doubtful += journal.made[journal.acknowledged :]
        del journal.made[journal.acknowledged :]
        return journal

    def promise(self, writer: int, given: Iterable[Said]) -> None:
        """A graph gave these segments of its own to its peers."""
        self.writers[writer].promised.update(commit for said in given for commit, _, _ in said.commits)

    def forgive(self, host: str, kept: Iterable[Said]) -> None:
        """A machine's disk was replaced by a backup: only what is in these segments can still be demanded."""
        shared, own = sort_records(kept)
        for writer, journal in self.writers.items():
            journal.is_at_home &= journal.host != host
            left = Counter(own.get(writer, {}))
            durable: list[Record] = []
            for record in journal.durable:
                if record in shared or left[record] > 0:
                    left[record] -= record[0] not in SHARED
                    durable.append(record)
                else:
                    journal.doubtful.append(record)
            journal.made = durable + journal.made[journal.acknowledged :]
            journal.acknowledged = len(durable)

    def losses(self, held: Iterable[Said]) -> Iterator[str]:
        """What was acknowledged and is not in these segments."""
        shared, own = sort_records(held)
        for writer, journal in sorted(self.writers.items()):
            gone = Counter(record for record in journal.durable if record[0] not in SHARED)
            gone.subtract(own.get(writer, {}))
            missing = [record for record in journal.durable if record[0] in SHARED and record not in shared]
            for record in (*missing, *sorted((+gone).elements(), key=show)):
                yield f"{show(record)}, acknowledged as durable by {journal.host} (writer {writer:x})"

    def inventions(self, held: Iterable[Said]) -> Iterator[str]:
        """What is in these segments although nobody said it, or not so often."""
        shared, own = sort_records(held)
        said = {
            record
            for journal in self.writers.values()
            for record in (*journal.made, *journal.doubtful)
            if record[0] in SHARED
        }
        for record in sorted(shared - said, key=show):
            yield f"{show(record)}, which nobody said"
        for writer, records in sorted(own.items()):
            journal = self.writers.get(writer)
            possible = Counter([*journal.made, *journal.doubtful] if journal is not None else [])
            for record in sorted((Counter(records) - possible).elements(), key=show):
                yield f"{show(record)}, which writer {writer:x} did not say"


def sort_records(segments: Iterable[Said]) -> tuple[set[Record], Mapping[int, Counter[Record]]]:
    """The shared records of some segments, and by writer those of its own.

    A segment that is given twice counts once, and a superseded one for nothing.
    """
    given = list(dict.fromkeys(segments))
    dead = {name for said in given for name in said.supersedes}
    shared: set[Record] = set()
    own: dict[int, Counter[Record]] = {}
    for said in given:
        if said.name in dead:
            continue
        shared.update(("commit", commit, None) for commit, _, _ in said.commits)
        shared.update(("discard", commit, None) for commit in said.discards)
        records = own.setdefault(said.name[0], Counter())
        records.update(("assign", f"{each.namespace} {each.key}", each.value) for each in said.assigns)
        records.update(("count", commit, vector) for commit, vector in said.counts)
    return shared, own


def show(record: Record) -> str:
    """A record for people, and for sorting."""
    kind, subject, value = record
    return f"{kind} {_text(subject)} {'' if value is None else _text(value)}".rstrip()


def _text(value: object) -> str:
    return value.hex()[:16] if isinstance(value, bytes) else str(value)
