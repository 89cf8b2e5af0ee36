"""Reading a graph: names, ancestry, contents."""

from __future__ import annotations

import random

import networkx
import pytest

import crdtgraph
from crdtgraph import AmbiguousError, Commit, CommitId, Graph, LocalError, NotFoundError


def test_resolve_knows_refs_ids_and_prefixes(graph: Graph) -> None:
    first = graph.commit(ref="main")
    assert graph.resolve("main") == first
    assert graph.resolve(first.hex()) == first
    assert graph.resolve(first.hex()[:4]) == first
    assert graph.resolve(first.hex()[:7]) == first
    for bad in ("", first.hex()[:3], "zzzz", first.hex() + "00", first.hex().upper() + "x", "ffff" * 16):
        with pytest.raises(NotFoundError):
            graph.resolve(bad)


def test_digits_may_be_in_upper_case_and_a_ref_that_looks_like_them_wins(graph: Graph) -> None:
    first = next(made for number in range(99) if not (made := graph.commit(message=f"{number}")).hex()[:8].isdecimal())
    upper = first.hex().upper()
    assert graph.resolve(upper) == graph.resolve(upper[:8]) == graph.resolve(f"{upper[:9]}{upper[9:].lower()}") == first
    imported = graph.commit(origin="git:aa11")
    named = graph.commit(origin="git:AA1x")
    assert graph.resolve("git:AA11") == imported
    assert graph.resolve("git:AA1") == named
    with pytest.raises(NotFoundError, match=f"'{upper[:8]}x'"):
        graph.resolve(f"{upper[:8]}x")
    second = graph.commit(message="second", ref=upper[:8])
    assert graph.resolve(upper[:8]) == second
    assert graph.resolve(upper[:8].lower()) == first


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
