"""The public API as a program uses it: what calls do, what they refuse, and that a refused call changes nothing."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import networkx
import pytest

import crdtgraph
from crdtgraph import AmbiguousError, Commit, CommitId, Durability, Graph, Host, LocalError, NotFoundError, Reference
from crdtgraph.assigning import META_VALUE_BYTES_MAX
from crdtgraph.clock import DRIFT_US_MAX
from crdtgraph.records import PARENTS_MAX, RECORD_BYTES_MAX

HOUR_US = 3_600_000_000
ABSENT = CommitId(b"\xee" * 32)


@dataclass
class Machine:
    """A host whose clock moves when told to and whose randomness repeats."""

    seed: int = 0
    now: int = 1_700_000_000_000_000
    rng: random.Random = field(init=False)

    def __post_init__(self) -> None:
        self.rng = random.Random(self.seed)

    @property
    def host(self) -> Host:
        return Host(now_us=lambda: self.now, random_bytes=self.rng.randbytes)


@pytest.fixture
def machine() -> Machine:
    return Machine()


@pytest.fixture
def graph(machine: Machine) -> Iterator[Graph]:
    with crdtgraph.open("memory:", host=machine.host) as opened:
        yield opened


def test_the_example_of_the_documentation(tmp_path: Path) -> None:
    with crdtgraph.open(str(tmp_path / "search.db")) as graph:
        root = graph.commit(message="start", changes={"board": b"..."}, ref="main")
        a = graph.commit(parents=[root], changes={"move": b"e4"})
        assert graph.refs["main"] == root
        assert graph.children(root) == (a,)
        assert graph.is_ancestor(root, a)
        assert graph.merge_bases(a, root) == [root]
        assert networkx.has_path(graph.dag, graph.node(root), graph.node(a))
        digest = graph.digest()
    with crdtgraph.open(str(tmp_path / "search.db")) as graph:
        assert graph.digest() == digest
        assert graph.get(a).changes == (("move", b"e4"),)
        assert graph.state(a) == {"board": b"...", "move": b"e4"}
        assert graph.refs["main"] == root


def test_a_commit_has_the_fields_that_were_given(graph: Graph) -> None:
    root = graph.commit(message="start")
    changes = {"b": b"2", "ä": Reference("git-blob", b"\x01" * 20, 7), "a": None}
    made = graph.commit(parents=[root], message="zwei\n", changes=changes, author="Ada", time=-5, origin="git:00ff")
    expected = Commit((root,), "Ada", -5, "zwei\n", (("a", None), ("b", b"2"), ("ä", changes["ä"])), "git:00ff")
    assert graph.get(made) == expected
    assert made == expected.id
    graph.flush()
    assert graph.get(made) == expected
    assert graph.get_many([made, root, made]) == [expected, graph.get(root), expected]


def test_a_commit_without_fields_is_a_root_of_this_author_now(graph: Graph, machine: Machine) -> None:
    assert graph.get(graph.commit()) == Commit((), graph.replica_id.hex()[:8], machine.now, "")


def test_the_author_is_the_one_that_the_graph_was_opened_with() -> None:
    with crdtgraph.open("memory:", author="Grace") as graph:
        assert graph.get(graph.commit()).author == "Grace"
        assert graph.get(graph.commit(author="")).author == ""


def test_without_parents_a_commit_follows_its_ref(graph: Graph) -> None:
    first = graph.commit(ref="main", message="1")
    second = graph.commit(ref="main", message="2")
    aside = graph.commit(message="no ref, so a root")
    assert graph.parents(second) == (first,)
    assert graph.parents(aside) == ()
    assert graph.refs["main"] == second


def test_a_ref_may_be_given_as_a_parent(graph: Graph) -> None:
    root = graph.commit(ref="main")
    child = graph.commit(parents=[graph.refs["main"]])
    assert graph.parents(child) == (root,)
    assert type(graph.get(child).parents[0]) is bytes


def test_the_same_commit_twice_is_one(graph: Graph) -> None:
    first = graph.commit(message="m", time=1)
    digest = graph.digest()
    assert graph.commit(message="m", time=1) == first
    assert graph.commit_many([graph.get(first)] * 3) == [first] * 3
    assert len(graph) == 1
    assert graph.digest() == digest


def test_commit_many_takes_parents_of_the_same_call(graph: Graph) -> None:
    chain = [Commit((), "a", 0, "0")]
    for number in range(1, 2500):
        chain.append(Commit((chain[-1].id,), "a", number, str(number)))
    ids = graph.commit_many(chain)
    assert ids == [commit.id for commit in chain]
    assert graph.generation(ids[-1]) == 2500
    graph.flush()
    assert graph.get_many(ids) == chain
    assert graph.status().segments == 3


def test_commit_many_stops_at_the_first_that_is_wrong(graph: Graph) -> None:
    good, bad = Commit((), "a", 1, "good"), Commit((ABSENT,), "a", 2, "bad")
    with pytest.raises(LocalError, match="eeee"):
        graph.commit_many([good, bad, Commit((), "a", 3, "never reached")])
    assert graph.topological() == [good.id]


def test_a_parent_that_stands_twice_has_one_edge(graph: Graph) -> None:
    root = graph.commit()
    twice = graph.commit(parents=[root, root])
    assert graph.get(twice).parents == (root, root)
    assert graph.parents(twice) == (root,)
    assert graph.children(root) == (twice,)


def test_a_commit_as_large_as_possible_comes_back(tmp_path: Path) -> None:
    with crdtgraph.open(str(tmp_path / "s")) as graph:
        size = RECORD_BYTES_MAX - len(Commit((), "a", 1, "m" * (1 << 20)).canonical()) + (1 << 20)
        plain = graph.commit(author="a", time=1, message="m" * size)
        moved = graph.commit(author="a", time=2, message="m" * size, ref="main")
        digest = graph.digest()
        with pytest.raises(LocalError, match="at most"):
            graph.commit(author="a", time=1, message="m" * (size + 1))
    with crdtgraph.open(str(tmp_path / "s")) as graph:
        assert graph.digest() == digest
        assert graph.refs["main"] == moved
        assert [len(graph.get(commit).canonical()) for commit in (plain, moved)] == [RECORD_BYTES_MAX] * 2


def fill_with_metadata(graph: Graph) -> None:
    for number in range(9):
        graph.set_meta(f"k{number}", random.Random(number).randbytes(META_VALUE_BYTES_MAX))


def fill_with_counts(graph: Graph) -> None:
    commit = graph.commit()
    for _ in range(1500):
        graph.count(commit, [-(1 << 63)] * 64)


def fill_with_octopuses(graph: Graph) -> None:
    roots = graph.commit_many([Commit((), "a", number, "") for number in range(8000)])
    graph.flush()
    arms = [tuple(roots[start : start + 36]) for start in range(0, 7900, 36)]
    graph.commit_many([Commit(parents, "a", 1 << 60, "") for parents in arms])


def fill_with_ref_names(graph: Graph) -> None:
    commit = graph.commit()
    for number in range(600):
        name = "r" * 1000 + str(number)
        graph.commit(parents=[commit], message=str(number), ref=name, durability=Durability.NORMAL)


def fill_with_many_refs_at_once(graph: Graph) -> None:
    target = graph.commit()
    graph.set_refs({"r" * 1000 + str(number): target for number in range(1100)})
    assert len(graph.refs) == 1100


def fill_with_large_commits(graph: Graph) -> None:
    parents: list[CommitId] = []
    for number in range(40):
        parents = [graph.commit(parents=parents, changes={"p": bytes([number]) * (number * 8000)}, ref="main")]


@pytest.mark.parametrize(
    "fill",
    [
        fill_with_metadata,
        fill_with_counts,
        fill_with_octopuses,
        fill_with_ref_names,
        fill_with_many_refs_at_once,
        fill_with_large_commits,
    ],
)
def test_whatever_was_written_can_be_read_again(fill: Callable[[Graph], None], tmp_path: Path) -> None:
    """A segment beyond the limits would be refused by every peer and by this replica at its next start."""
    with crdtgraph.open(str(tmp_path / "s")) as graph:
        fill(graph)
        digest = graph.digest()
        graph.flush()
        graph.compact()
        assert graph.digest() == digest
        assert [finding.problem for finding in graph.fsck() if finding.problem] == []
        with crdtgraph.open("memory:") as other:
            for delta in graph.deltas("ledger", {}):
                other.receive("ledger", delta.update)
            assert other.digest() == digest
    with crdtgraph.open(str(tmp_path / "s")) as graph:
        assert graph.digest() == digest


# What is refused


BAD_CALLS: dict[str, Callable[[Graph, CommitId], object]] = {
    "missing parent": lambda graph, root: graph.commit(parents=[ABSENT]),
    "missing second parent": lambda graph, root: graph.commit(parents=[root, ABSENT]),
    "parent of hex": lambda graph, root: graph.commit(parents=[root.hex()]),
    "parent cut short": lambda graph, root: graph.commit(parents=[root[:31]]),
    "one parent outside a list": lambda graph, root: graph.commit(parents=root),
    "text for parents": lambda graph, root: graph.commit(parents=root.hex()),
    "number for parents": lambda graph, root: graph.commit(parents=5),
    "parent of bytearray": lambda graph, root: graph.commit(parents=[bytearray(root)]),
    "parent of list": lambda graph, root: graph.commit(parents=[[root]]),
    "parent of None": lambda graph, root: graph.commit(parents=[None]),
    "too many parents": lambda graph, root: graph.commit(parents=[root] * (PARENTS_MAX + 1)),
    "author of bytes": lambda graph, root: graph.commit(author=b"Ada"),
    "author of list": lambda graph, root: graph.commit(author=["Ada"]),
    "author with a lone surrogate": lambda graph, root: graph.commit(author="\ud800"),
    "message of bytes": lambda graph, root: graph.commit(message=b"m"),
    "message of None": lambda graph, root: graph.commit(message=None),
    "message with a lone surrogate": lambda graph, root: graph.commit(message="m\udc80"),
    "origin of bytes": lambda graph, root: graph.commit(origin=b"git:1"),
    "origin with a lone surrogate": lambda graph, root: graph.commit(origin="\udfff"),
    "time of float": lambda graph, root: graph.commit(time=1.5),
    "time of large float": lambda graph, root: graph.commit(time=1.5e15),
    "time of text": lambda graph, root: graph.commit(time="now"),
    "time beyond 64 bits": lambda graph, root: graph.commit(time=1 << 63),
    "time far beyond 64 bits": lambda graph, root: graph.commit(time=1 << 80),
    "time below 64 bits": lambda graph, root: graph.commit(time=-(1 << 63) - 1),
    "changes of list": lambda graph, root: graph.commit(changes=[("a", b"")]),
    "empty path": lambda graph, root: graph.commit(changes={"": b""}),
    "path of bytes": lambda graph, root: graph.commit(changes={b"a": b""}),
    "path too long": lambda graph, root: graph.commit(changes={"ä" * 2049: b""}),
    "path with a lone surrogate": lambda graph, root: graph.commit(changes={"a\ud800": b""}),
    "value of text": lambda graph, root: graph.commit(changes={"a": "text"}),
    "value of bytearray": lambda graph, root: graph.commit(changes={"a": bytearray(2)}),
    "value of number": lambda graph, root: graph.commit(changes={"a": 5}),
    "reference of a negative size": lambda graph, root: graph.commit(changes={"a": Reference("s", b"", -1)}),
    "reference of a huge size": lambda graph, root: graph.commit(changes={"a": Reference("s", b"", 1 << 63)}),
    "reference of a true size": lambda graph, root: graph.commit(changes={"a": Reference("s", b"", True)}),
    "reference with a number for a scheme": lambda graph, root: graph.commit(changes={"a": Reference(5, b"", 1)}),
    "reference with a lone surrogate": lambda graph, root: graph.commit(changes={"a": Reference("\ud800", b"", 1)}),
    "reference with a text for a digest": lambda graph, root: graph.commit(changes={"a": Reference("s", "d", 1)}),
    "too large": lambda graph, root: graph.commit(message="m" * RECORD_BYTES_MAX),
    "too large with a ref": lambda graph, root: graph.commit(message="m" * RECORD_BYTES_MAX, ref="new"),
    "ref that does not fast-forward": lambda graph, root: graph.commit(parents=[root], ref="main"),
    "ref without a common root": lambda graph, root: graph.commit(parents=[], ref="main"),
    "empty ref": lambda graph, root: graph.commit(ref=""),
    "ref of bytes": lambda graph, root: graph.commit(ref=b"main"),
    "ref with a control character": lambda graph, root: graph.commit(ref="a\nb"),
    "ref with a lone surrogate": lambda graph, root: graph.commit(ref="\ud800"),
    "ref too long": lambda graph, root: graph.commit(ref="r" * 1025),
    "unknown plane": lambda graph, root: graph.commit(plane="search"),
    "many: unordered changes": lambda graph, root: graph.commit_many(
        [Commit((), "a", 1, "", (("b", b""), ("a", b"")))]
    ),
    "many: repeated path": lambda graph, root: graph.commit_many([Commit((), "a", 1, "", (("a", b""), ("a", b"")))]),
    "many: empty path": lambda graph, root: graph.commit_many([Commit((), "a", 1, "", (("", b""),))]),
    "many: changes of None": lambda graph, root: graph.commit_many([Commit((), "a", 1, "", None)]),
    "many: changes of list": lambda graph, root: graph.commit_many([Commit((), "a", 1, "", [("a", b"")])]),
    "many: changes of triples": lambda graph, root: graph.commit_many([Commit((), "a", 1, "", (("a", b"", 1),))]),
    "many: changes of numbers": lambda graph, root: graph.commit_many([Commit((), "a", 1, "", (1, 2))]),
    "many: bad reference": lambda graph, root: graph.commit_many(
        [Commit((), "a", 1, "", (("a", Reference("s", b"", -1)),))]
    ),
    "many: value of text": lambda graph, root: graph.commit_many([Commit((), "a", 1, "", (("a", "b"),))]),
    "get what is absent": lambda graph, root: graph.get(ABSENT),
    "get by hex": lambda graph, root: graph.get(root.hex()),
    "get a list": lambda graph, root: graph.get([root]),
    "get many with one absent": lambda graph, root: graph.get_many([root, ABSENT]),
    "parents of an absent one": lambda graph, root: graph.parents(ABSENT),
    "merge base with an absent one": lambda graph, root: graph.merge_bases(root, ABSENT),
    "state of an absent one": lambda graph, root: graph.state(ABSENT),
    "set_ref to an absent one": lambda graph, root: graph.set_ref("main", ABSENT),
    "set_ref backwards": lambda graph, root: graph.set_ref("main", root),
    "set_ref to no name": lambda graph, root: graph.set_ref("", root),
    "delete an unknown ref": lambda graph, root: graph.delete_ref("nope"),
    "merge an unknown ref": lambda graph, root: graph.merge("nope"),
    "metadata of text": lambda graph, root: graph.set_meta("k", "v"),
    "metadata without a key": lambda graph, root: graph.set_meta("", b"v"),
    "metadata too large": lambda graph, root: graph.set_meta("k", bytes(META_VALUE_BYTES_MAX + 1)),
    "metadata of an absent commit": lambda graph, root: graph.set_meta("k", b"v", commit=ABSENT),
    "count nothing": lambda graph, root: graph.count(root, []),
    "count a number": lambda graph, root: graph.count(root, 5),
    "count floats": lambda graph, root: graph.count(root, [0.5]),
    "count truths": lambda graph, root: graph.count(root, [True]),
    "count beyond 64 bits": lambda graph, root: graph.count(root, [1 << 63]),
    "count too many": lambda graph, root: graph.count(root, [1] * 65),
    "count for an absent commit": lambda graph, root: graph.count(ABSENT, [1]),
    "discard an absent commit": lambda graph, root: graph.discard(ABSENT),
}  # fmt: skip


@pytest.mark.parametrize("call", BAD_CALLS.values(), ids=BAD_CALLS.keys())
def test_misuse_is_a_local_error_that_changes_nothing(
    call: Callable[[Graph, CommitId], object], tmp_path: Path, machine: Machine
) -> None:
    with crdtgraph.open("memory:", host=machine.host) as graph:
        root = graph.commit(message="root")
        graph.commit(parents=[root], ref="main")
        before = graph.digest(), len(graph), graph.status().buffered, dict(graph.refs)
        with pytest.raises(LocalError) as caught:
            call(graph, root)
        assert str(caught.value)
        assert (graph.digest(), len(graph), graph.status().buffered, dict(graph.refs)) == before
        graph.commit(message="and it goes on", ref="main")


def test_a_missing_parent_is_named_with_what_to_do(graph: Graph) -> None:
    with pytest.raises(LocalError, match=ABSENT.hex()) as caught:
        graph.commit(parents=[ABSENT])
    assert "commit or import it first" in caught.value.hint


def test_an_unknown_ref_lists_the_known_ones(graph: Graph) -> None:
    with pytest.raises(NotFoundError, match="'mian'") as caught:
        graph.merge("mian")
    assert "yet" in caught.value.hint
    for name in ("main", "v1"):
        graph.commit(ref=name)
    with pytest.raises(NotFoundError, match="'mian'") as caught:
        graph.delete_ref("mian")
    assert "main, v1" in caught.value.hint
    with pytest.raises(KeyError):
        graph.refs["mian"]
    with pytest.raises(NotFoundError, match="'mian'") as caught:
        graph.resolve("mian")
    assert "main, v1" in caught.value.hint


def test_a_move_that_is_no_fast_forward_names_the_target(graph: Graph) -> None:
    root = graph.commit(ref="main")
    tip = graph.commit(ref="main")
    with pytest.raises(LocalError, match=tip.hex()[:12]):
        graph.set_ref("main", root)
    graph.set_ref("main", root, force=True)
    assert graph.refs["main"] == root
    assert not graph.refs["main"].conflicted


# Names


def test_resolve_knows_refs_ids_and_prefixes(graph: Graph) -> None:
    first = graph.commit(ref="main")
    assert graph.resolve("main") == first
    assert graph.resolve(first.hex()) == first
    assert graph.resolve(first.hex()[:4]) == first
    assert graph.resolve(first.hex()[:7]) == first
    for bad in ("", first.hex()[:3], "zzzz", first.hex() + "00", first.hex().upper() + "x", "ffff" * 16):
        with pytest.raises(NotFoundError):
            graph.resolve(bad)


def test_a_ref_that_looks_like_a_prefix_wins(graph: Graph) -> None:
    first = graph.commit(message="first")
    second = graph.commit(message="second", ref=first.hex()[:8])
    assert graph.resolve(first.hex()[:8]) == second
    assert graph.resolve(first.hex()[:9]) == first


def test_an_ambiguous_prefix_lists_the_candidates(graph: Graph) -> None:
    ids = graph.commit_many([Commit((), "a", number, f"title {number}\nmore") for number in range(1200)])
    by_prefix: dict[str, list[CommitId]] = {}
    for commit in sorted(ids):
        by_prefix.setdefault(commit.hex()[:4], []).append(commit)
    prefix, found = next((prefix, found) for prefix, found in sorted(by_prefix.items()) if len(found) > 1)
    with pytest.raises(AmbiguousError, match=f"'{prefix}'") as caught:
        graph.resolve(prefix)
    for commit in found:
        assert f"{commit.hex()[:16]} {graph.get(commit).message.splitlines()[0]}" in caught.value.hint
        assert graph.resolve(graph.short(commit)) == commit


def test_git_prefixes_resolve_by_origin(graph: Graph) -> None:
    one, two = graph.commit(origin="git:aa11"), graph.commit(origin="git:aa22")
    graph.flush()
    three = graph.commit(origin="git:bb33")
    assert graph.resolve("git:aa1") == one
    assert graph.resolve("git:aa22") == two
    assert graph.resolve("git:b") == three
    with pytest.raises(AmbiguousError) as caught:
        graph.resolve("git:aa")
    assert one.hex()[:16] in caught.value.hint
    assert two.hex()[:16] in caught.value.hint
    with pytest.raises(NotFoundError):
        graph.resolve("git:ff")
    assert graph.origins() == {"git:aa11": one, "git:aa22": two, "git:bb33": three}


def test_short_ids_are_unique_and_at_least_eight_digits(graph: Graph) -> None:
    ids = graph.commit_many([Commit((), "a", number, "") for number in range(500)])
    shorts = graph.shorts(ids)
    assert len(set(shorts)) == 500
    assert min(map(len, shorts)) == 8


# Closed and read-only


@pytest.mark.parametrize(
    "call",
    [
        lambda graph: graph.commit(),
        lambda graph: graph.commit_many([]),
        lambda graph: len(graph),
        lambda graph: ABSENT in graph,
        lambda graph: graph.refs,
        lambda graph: graph.dag,
        lambda graph: graph.digest(),
        lambda graph: graph.status(),
        lambda graph: graph.set_meta("k", b""),
        lambda graph: graph.meta(),
        lambda graph: graph.resolve("main"),
        lambda graph: graph.state_vector("ledger"),
        lambda graph: list(graph.deltas("ledger", {})),
        lambda graph: graph.receive("ledger", b"\0\0"),
    ],
)
def test_use_after_close_is_a_local_error(call: Callable[[Graph], object]) -> None:
    graph = crdtgraph.open("memory:")
    graph.commit()
    graph.close()
    graph.close()
    with pytest.raises(LocalError, match="closed"):
        call(graph)


READ_ONLY_CALLS: list[Callable[[Graph, CommitId], object]] = [
    lambda graph, root: graph.commit(),
    lambda graph, root: graph.commit(ref="main"),
    lambda graph, root: graph.commit(durability=Durability.CRITICAL),
    lambda graph, root: graph.commit_many([Commit((), "a", 1, "")]),
    lambda graph, root: graph.set_ref("x", root),
    lambda graph, root: graph.delete_ref("main"),
    lambda graph, root: graph.set_meta("k", b""),
    lambda graph, root: graph.count(root, [1]),
    lambda graph, root: graph.discard(root),
]


@pytest.mark.parametrize("call", READ_ONLY_CALLS)
def test_a_graph_that_is_open_to_read_refuses_to_write_at_once(
    call: Callable[[Graph, CommitId], object], tmp_path: Path
) -> None:
    with crdtgraph.open(str(tmp_path / "s")) as writer:
        root = writer.commit(ref="main")
        with crdtgraph.open(str(tmp_path / "s"), read_only=True) as reader:
            assert reader.refs["main"] == root
            assert reader.get(root) == writer.get(root)
            digest = reader.digest()
            with pytest.raises(LocalError, match=r"read.?only|for reading only"):
                call(reader, root)
            assert reader.digest() == digest == writer.digest()
            assert [finding.problem for finding in reader.fsck() if finding.problem] == []


def test_a_store_of_another_cluster_is_refused(tmp_path: Path) -> None:
    path = str(tmp_path / "s")
    crdtgraph.open(path, cluster="blue").close()
    with pytest.raises(LocalError, match="'blue'"):
        crdtgraph.open(path, cluster="red")
    with crdtgraph.open(path) as graph:
        assert graph.cluster == "blue"


# Metadata, counters, discards


def test_metadata_is_apart_from_commits(graph: Graph) -> None:
    root = graph.commit()
    digest = graph.digest()
    graph.set_meta("k", b"1")
    assert graph.digest() != digest
    graph.set_meta("k", b"2", commit=root)
    assert graph.meta() == {"k": b"1"}
    assert graph.meta(root) == {"k": b"2"}
    graph.set_meta("k", b"")
    assert graph.meta() == {"k": b""}
    graph.set_meta("k", None)
    assert graph.meta() == {}
    assert graph.meta(root) == {"k": b"2"}
    assert list(graph.refs) == []


def test_counters_add_up_exactly(graph: Graph) -> None:
    root = graph.commit()
    assert graph.counters(root) == ()
    graph.count(root, [1, -5])
    graph.count(root, [(1 << 63) - 1, 2, 3])
    assert graph.counters(root) == (1 << 63, -3, 3)
    graph.count(root, [0, 3, -3])
    assert graph.counters(root) == (1 << 63,)
    graph.count(root, [-(1 << 63)])
    assert graph.counters(root) == ()


def test_counters_that_sum_to_nothing_leave_no_trace_in_the_digest(graph: Graph) -> None:
    root = graph.commit()
    digest = graph.digest()
    graph.count(root, [7])
    assert graph.digest() != digest
    graph.count(root, [-7])
    assert graph.digest() == digest


def test_a_discard_takes_everything_that_follows(graph: Graph) -> None:
    root = graph.commit(message="root")
    doomed, kept = (graph.commit(parents=[root], message=text) for text in ("doomed", "kept"))
    below = graph.commit(parents=[doomed], message="below")
    merge = graph.commit(parents=[kept, below], message="merge")
    graph.discard(doomed)
    late = graph.commit(parents=[kept, below], message="late")
    assert [graph.is_live(commit) for commit in (root, kept, doomed, below, merge, late)] == [
        True, True, False, False, False, False,
    ]  # fmt: skip
    assert graph.status().live == 2
    assert len(graph) == 6
    assert graph.get(below).message == "below"


def test_the_digest_covers_the_live_commits_only(machine: Machine) -> None:
    with crdtgraph.open("memory:", host=machine.host) as one, crdtgraph.open("memory:", host=machine.host) as two:
        for graph in (one, two):
            graph.commit_many([Commit((), "a", 1, "root")])
        doomed = one.commit(parents=one.roots())
        one.count(doomed, [3])
        assert one.digest() != two.digest()
        one.discard(doomed)
        assert one.digest() == two.digest()
        one.commit(parents=[doomed])
        one.count(doomed, [3])
        one.discard(doomed)
        assert one.digest() == two.digest()


# Clocks


def test_time_goes_on_when_the_clock_jumps_back(tmp_path: Path) -> None:
    machine = Machine()
    path = str(tmp_path / "s")
    with crdtgraph.open(path, host=machine.host) as graph:
        first = graph.commit(ref="main")
        machine.now -= HOUR_US
        second = graph.commit(ref="main")
    machine.now -= HOUR_US
    with crdtgraph.open(path, host=machine.host) as graph:
        third = graph.commit(ref="main")
        assert [graph.get(commit).time for commit in (first, second, third)] == sorted(
            graph.get(commit).time for commit in (first, second, third)
        )
        assert len({graph.get(commit).time for commit in (first, second, third)}) == 3


def test_a_clock_that_jumps_back_does_not_hold_back_what_is_buffered(graph: Graph, machine: Machine) -> None:
    graph.commit(message="before")
    machine.now -= HOUR_US
    graph.commit(message="after")
    due = graph.flush_due()
    assert due is not None
    assert due <= 0.1
    machine.now += 100_000
    assert graph.flush_due() == 0
    graph.flush()
    assert graph.flush_due() is None


def test_a_clock_that_was_ahead_at_the_last_start_does_not_hold_back_what_is_buffered(tmp_path: Path) -> None:
    machine = Machine()
    path = str(tmp_path / "s")
    with crdtgraph.open(path, host=machine.host) as graph:
        graph.commit()
    machine.now -= HOUR_US
    with crdtgraph.open(path, host=machine.host) as graph:
        graph.commit()
        assert graph.flush_due() == pytest.approx(0.1)
        machine.now += 100_000
        assert graph.flush_due() == 0


def test_a_peer_whose_clock_is_ahead_does_not_drag_ours_along(graph: Graph, machine: Machine) -> None:
    ahead = Machine(seed=1, now=machine.now + HOUR_US)
    with crdtgraph.open("memory:", host=ahead.host) as other:
        other.commit(ref="theirs")
        for delta in other.deltas("ledger", {}):
            graph.receive("ledger", delta.update)
    assert graph.get(graph.commit()).time <= machine.now + DRIFT_US_MAX


def test_what_is_buffered_is_due_after_a_tenth_of_a_second(graph: Graph, machine: Machine) -> None:
    assert graph.flush_due() is None
    graph.commit()
    machine.now += 40_000
    assert graph.flush_due() == pytest.approx(0.06)
    graph.set_meta("k", b"v")
    assert graph.flush_due() == pytest.approx(0.06)
    written = graph.write_behind()
    assert graph.flush_due() == 0
    graph.settle(written)
    assert graph.flush_due() is None
    assert graph.status().segments == 1


def test_on_buffered_tells_of_the_first_record_that_waits(graph: Graph) -> None:
    told: list[float | None] = []
    stop = graph.on_buffered(lambda: told.append(None))
    commit = graph.commit()
    graph.set_meta("k", b"v")
    graph.count(commit, (1,))
    assert len(told) == 1
    graph.write_behind()
    graph.discard(graph.commit())
    assert len(told) == 2, "what is written and not fsynced is due as well, and more may be buffered behind it"
    graph.flush()
    graph.commit(ref="main")
    assert len(told) == 3
    stop()
    graph.commit()
    assert len(told) == 3


@pytest.mark.parametrize("seed", range(5))
def test_nothing_waits_without_word_of_it(graph: Graph, seed: int) -> None:
    rng = random.Random(seed)
    told = False

    def note() -> None:
        nonlocal told
        told = True

    graph.on_buffered(note)
    writes: list[Callable[[], object]] = [
        graph.commit,
        graph.flush,
        lambda: graph.settle(graph.write_behind()),
        lambda: graph.commit(durability=Durability.CRITICAL),
        lambda: graph.commit(ref="main", durability=Durability.NORMAL),
        lambda: graph.commit(ref="main", changes={"large": rng.randbytes(150_000)}),
        lambda: graph.commit(changes={"large": rng.randbytes(300_000)}),
        lambda: graph.set_meta("k", rng.randbytes(4)),
        graph.compact,
    ]
    for _ in range(200):
        told = told and graph.flush_due() is not None
        rng.choice(writes)()
        assert told or graph.flush_due() is None


# Reading the graph


def test_the_reading_calls_agree_with_networkx(graph: Graph) -> None:
    rng = random.Random(5)
    ids: list[CommitId] = []
    for number in range(120):
        parents = rng.sample(ids, k=min(len(ids), rng.choice([0, 1, 1, 1, 2, 3])))
        ids.append(graph.commit(parents=parents, message=str(number)))
    plain = networkx.DiGraph()
    plain.add_nodes_from(ids)
    plain.add_edges_from((parent, commit) for commit in ids for parent in graph.get(commit).parents)
    order = graph.topological()
    place = {commit: index for index, commit in enumerate(order)}
    assert sorted(order) == sorted(ids)
    assert all(place[parent] < place[commit] for parent, commit in plain.edges)
    assert graph.heads() == sorted(commit for commit in ids if not plain.out_degree(commit))
    assert graph.roots() == sorted(commit for commit in ids if not plain.in_degree(commit))
    for commit in rng.sample(ids, 30):
        assert graph.ancestors(commit) == networkx.ancestors(plain, commit)
        assert graph.descendants(commit) == networkx.descendants(plain, commit)
        assert graph.children(commit) == tuple(sorted(plain.successors(commit)))
        other = rng.choice(ids)
        both = networkx.ancestors(plain, commit) | {commit}
        assert set(graph.between(other, commit)) == both - networkx.ancestors(plain, other) - {other}
        assert graph.is_ancestor(other, commit) == (other in both)
        newest = list(graph.newest_first([commit]))
        assert set(newest) == both
        assert newest[0] == commit
    with pytest.raises(LocalError):
        graph.dag.add_edge(0, 1)


def test_networkx_sees_what_is_committed_after_it_was_asked_for(graph: Graph) -> None:
    root = graph.commit(message="root")
    dag = graph.dag
    child = graph.commit(parents=[root], message="child")
    assert graph.dag is dag
    assert networkx.descendants(dag, graph.node(root)) == {graph.node(child)}


def test_misuse_is_a_local_error_of_ours() -> None:
    with crdtgraph.open("memory:") as graph:
        commit = graph.commit(message="m", ref="main")
        with pytest.raises(LocalError, match="no Commit"):
            graph.commit_many([1])  # type: ignore[list-item]
        for node in (-1, 1):
            with pytest.raises(NotFoundError, match="no node"):
                graph.id_of(node)
        with pytest.raises(NotFoundError) as missing:
            graph.refs["nope"]
        assert isinstance(missing.value, KeyError)
        assert "main" in missing.value.hint
        assert graph.refs.get("nope") is None
        assert "nope" not in graph.refs
        assert graph.refs["main"] == commit


def test_a_name_is_found_by_any_of_its_beginnings_however_the_graph_grew() -> None:
    with crdtgraph.open("memory:") as graph:
        ids: list[CommitId] = []
        for batch in range(4):
            ids += graph.commit_many(
                [Commit((), "a", n, f"{batch}/{n}", (), f"git:{batch}{n:03x}{'0' * 36}") for n in range(60)]
            )
            for commit in ids[:: 7 - batch]:
                for digits in (9, 10, 63, 64):
                    assert graph.resolve(commit.hex()[:digits]) == commit
        for number, commit in enumerate(ids):
            origin = f"git:{number // 60}{number % 60:03x}"
            assert graph.resolve(origin) == graph.resolve(origin + "0" * 36) == commit
        with pytest.raises(AmbiguousError):
            graph.resolve("git:1")
        with pytest.raises(NotFoundError):
            graph.resolve("0" * 65)
