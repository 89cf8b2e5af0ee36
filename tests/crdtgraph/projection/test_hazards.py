"""Hazards of the fold, each by itself."""

from __future__ import annotations

import hashlib
import itertools

import pytest

from crdtgraph.ids import Dot
from crdtgraph.projection import fold_all
from crdtgraph.records import Assign, Commit, Count, Discard
from tests.crdtgraph.projection.histories import IDENTITIES, Replica, pack_records


def chain(length: int) -> list[Commit]:
    commits = [Commit((), "a", 0, "0")]
    for number in range(1, length):
        commits.append(Commit((commits[-1].id,), "a", number, str(number)))
    return commits


def test_a_long_chain_that_waited_for_one_commit_does_not_recurse() -> None:
    replica = Replica()
    commits = chain(3000)
    for number, commit in enumerate(reversed(commits)):
        replica.receive(pack_records(IDENTITIES[0], number, [commit]))
        assert len(replica.projection) == (3000 if number == 2999 else 0)
    assert len(replica.projection.pending) == 0


def test_a_commit_with_several_missing_parents_waits_once() -> None:
    roots = [Commit((), "a", number, "root") for number in range(3)]
    merge = Commit(tuple(root.id for root in roots), "a", 9, "merge")
    replica = Replica()
    replica.receive(pack_records(IDENTITIES[0], 0, [merge]))
    for number, root in enumerate(roots):
        assert len(replica.projection.pending) == 1
        replica.receive(pack_records(IDENTITIES[1], 2 * number, [root]))
        replica.receive(pack_records(IDENTITIES[1], 2 * number + 1, [merge]))
        replica.check()
    assert len(replica.projection.pending) == 0
    assert len(replica.projection) == 4


def test_a_count_that_waits_is_taken_back_by_a_compaction() -> None:
    commit = Commit((), "a", 0, "late")
    counts = [Count(commit.id, (5,), 1), Count(commit.id, (5,), 1)]
    replica = Replica()
    replica.receive(pack_records(IDENTITIES[0], 0, counts))
    replica.receive(pack_records(IDENTITIES[0], 1, counts[:1]))
    replica.check()
    replica.receive(pack_records(IDENTITIES[0], 2, counts * 2, [0, 1]))
    assert len(replica.projection.pending) == 4
    replica.receive(pack_records(IDENTITIES[1], 0, [commit]))
    assert replica.projection.counters.get(commit.id) == (20,)


def test_a_superseded_compaction_still_supersedes() -> None:
    """Ours name all that they replace; should someone's last compaction not, order must make no difference either."""
    commit = Commit((), "a", 0, "counted")
    count = Count(commit.id, (5,), 1)
    first = pack_records(IDENTITIES[0], 0, [commit, count])
    second = pack_records(IDENTITIES[0], 1, [commit, count], [0])
    third = pack_records(IDENTITIES[0], 2, [commit, count], [1])
    for order in itertools.permutations([first, second, third]):
        replica = Replica()
        for each in order:
            replica.receive(each)
            replica.check()
        assert replica.projection.counters.get(commit.id) == (5,)


def test_what_a_waiting_assignment_supersedes_stays_live() -> None:
    base, late = chain(2)
    first = Assign("ref", "main", base.id, Dot(IDENTITIES[0].writer, 0), (), 1)
    second = Assign("ref", "main", late.id, Dot(IDENTITIES[1].writer, 0), (first.dot,), 2)
    replica = Replica()
    replica.receive(pack_records(IDENTITIES[0], 0, [base, first]))
    replica.receive(pack_records(IDENTITIES[1], 0, [second]))
    replica.check()
    assert replica.projection.refs["main"] == base.id
    replica.receive(pack_records(IDENTITIES[2], 0, [late]))
    replica.check()
    assert replica.projection.refs["main"].targets == (late.id,)


@pytest.mark.parametrize("order", [(0, 1, 2, 3), (3, 2, 1, 0), (2, 3, 0, 1), (1, 3, 0, 2)])
def test_a_discard_reaches_late_children_and_their_counters(order: tuple[int, ...]) -> None:
    root, doomed, child = chain(3)
    packed = [
        pack_records(IDENTITIES[0], 0, [root, doomed]),
        pack_records(IDENTITIES[1], 0, [Discard(doomed.id, 1)]),
        pack_records(IDENTITIES[2], 0, [child]),
        pack_records(IDENTITIES[3], 0, [Count(child.id, (1,), 1)]),
    ]
    replica = Replica()
    for place in order:
        replica.receive(packed[place])
        replica.check()
    projection = replica.projection
    assert [projection.is_live(commit.id) for commit in (root, doomed, child)] == [True, False, False]
    assert projection.components() == fold_all([pack_records(IDENTITIES[0], 0, [root]).segment]).components()


def test_the_digest_is_the_documented_one() -> None:
    """The sum modulo 2**256 over live commits is that of their ids: a replica in another language can check it."""
    commits = chain(5)
    replica = Replica()
    replica.receive(pack_records(IDENTITIES[0], 0, commits))
    total = sum(int.from_bytes(commit.id, "big") for commit in commits) % (1 << 256)
    assert replica.projection.components().commits == total.to_bytes(32, "big")
    data = b"crdtgraph projection\0" + b"".join(replica.projection.components())
    assert replica.projection.digest() == hashlib.sha256(data).digest()
