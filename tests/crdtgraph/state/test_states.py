"""The state at any commit: whatever is cached, stored or damaged, it is what replaying the commits gives."""

from __future__ import annotations

from itertools import count
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import crdtgraph
from crdtgraph import LEDGER, CommitId, Graph, Host, NotFoundError, PathChange, Reference, StoreError, Value
from crdtgraph.cache import CountedHints, LearnedPolicy
from crdtgraph.contents import Contents
from crdtgraph.opening import attach
from crdtgraph.state import State, States, replay
from crdtgraph.state import rows as rowsing
from crdtgraph.state.rows import Rows
from crdtgraph.steps import run
from crdtgraph.store import Batch, Keyspace
from crdtgraph.store.memory import MemoryStore

PATHS = st.sampled_from(["0", "a", "a/b", "b", "c/d", "é", "z" * 300])
VALUES: st.SearchStrategy[Value] = st.sampled_from([None, b"", b"1", b"2" * 500, Reference("git-blob", b"\1" * 20, 7)])
STEPS = st.lists(
    st.tuples(st.lists(st.integers(0, 10**6), max_size=2), st.dictionaries(PATHS, VALUES, max_size=4)),
    min_size=1,
    max_size=60,
)


def ticking() -> Host:
    numbers = count(1_700_000_000_000_000)
    return Host(now_us=lambda: next(numbers), random_bytes=bytes)


def grow(
    graph: Graph, steps: list[tuple[list[int], dict[str, Value]]], before: list[CommitId] | None = None
) -> list[CommitId]:
    """Commits whose parents are picked among those before; mostly the last, so that chains get long."""
    made = [*(before or [])]
    for number, (picks, changes) in enumerate(steps, len(made)):
        parents = list(dict.fromkeys(made[-1 - pick % min(len(made), 3)] for pick in picks)) if made else []
        if made and not parents and number % 7:
            parents = [made[-1]]
        made.append(graph.commit(parents=parents, changes=changes, message=str(number)))
    return made


def replayed(graph: Graph, commit: CommitId) -> dict[str, Value]:
    home = graph._plane(LEDGER)
    return replay(home.projection, home.contents, home.projection.nodes[commit])


def changes_between(old: dict[str, Value], new: dict[str, Value]) -> list[PathChange]:
    paths = sorted(old.keys() | new.keys())
    return [PathChange(path, old.get(path), new.get(path)) for path in paths if old.get(path) != new.get(path)]


@settings(max_examples=150, deadline=None)
@given(STEPS, st.integers(0, 60), st.randoms(use_true_random=False))
def test_every_state_is_what_replaying_gives(
    steps: list[tuple[list[int], dict[str, Value]]], stored_after: int, rng: Random
) -> None:
    with attach(MemoryStore(), host=ticking()) as graph:
        made = grow(graph, steps[:stored_after])
        if made:
            assert graph.checkpoint_states() == len(made)
            assert graph.checkpoint_states() == 0
        made = grow(graph, steps[stored_after:], made)
        order = [*made, *made]
        rng.shuffle(order)
        for commit in order:
            if rng.random() < 0.3:
                graph._states().clear_cache()
            expected, found = replayed(graph, commit), graph.state(commit)
            path = rng.choice(["a", "a/b", "c/d", "é", "nowhere"])
            assert found.get(path) == expected.get(path)
            assert (path in found) == (path in expected)
            assert dict(found) == expected
            assert list(found) == sorted(expected)
            assert len(found) == len(expected)
            assert found == expected
        assert [dict(each) for each in graph.state_many(order)] == [replayed(graph, each) for each in order]


@settings(max_examples=100, deadline=None)
@given(STEPS, st.integers(0, 10**6), st.integers(0, 10**6), st.booleans(), st.sampled_from([0, 2, 512]))
def test_the_difference_of_two_states_is_that_of_the_replayed_ones(
    steps: list[tuple[list[int], dict[str, Value]]], first: int, second: int, stored: bool, far: int
) -> None:
    with attach(MemoryStore(), host=ticking()) as graph, pytest.MonkeyPatch.context() as patch:
        patch.setattr("crdtgraph.state.states.APART_MAX", far)
        made = grow(graph, steps)
        if stored:
            graph.checkpoint_states()
        before, after = made[first % len(made)], made[second % len(made)]
        assert graph.diff(before, after) == changes_between(replayed(graph, before), replayed(graph, after))
        assert graph.diff(None, after) == changes_between({}, replayed(graph, after))
        assert graph.diff(after, after) == []


@settings(max_examples=100, deadline=None)
@given(STEPS, st.data())
def test_damaged_and_missing_rows_are_as_good_as_none_and_made_anew(
    steps: list[tuple[list[int], dict[str, Value]]], data: st.DataObject
) -> None:
    store = MemoryStore()
    with attach(store, host=ticking()) as graph:
        made = grow(graph, steps)
        graph.checkpoint_states()
        graph._states().clear_cache()
        good = dict(store.scan(Keyspace.STATES))
        batch = Batch()
        for key in data.draw(st.lists(st.sampled_from(sorted(good)), min_size=1, max_size=5, unique=True)):
            if data.draw(st.booleans()):
                batch.delete(Keyspace.STATES, key)
            else:
                at = data.draw(st.integers(0, len(good[key]) - 1))
                batch.put(Keyspace.STATES, key, good[key][:at] + bytes([good[key][at] ^ 1]) + good[key][at + 1 :])
        store.write(batch, sync=False)
        for commit in data.draw(st.permutations(made)):
            assert dict(graph.state(commit)) == replayed(graph, commit)
            assert graph.state(commit).get("a") == replayed(graph, commit).get("a")
            graph._states().clear_cache()
        for a, b in zip(made, reversed(made), strict=True):
            assert graph.diff(a, b) == changes_between(replayed(graph, a), replayed(graph, b))
        while graph.checkpoint_states():
            pass
        states = States(graph._plane(LEDGER), store)
        while run(states.make_steps()):
            pass
        for key, value in good.items():
            if key.startswith(b"r"):
                assert store.get(Keyspace.STATES, key) == value


def test_states_are_there_at_once_after_opening_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    url = "memory:states-stored"
    with crdtgraph.open(url) as graph:
        tip = graph.commit(changes={"0": b"0"})
        for number in range(1, 40):
            tip = graph.commit(parents=[tip], changes={f"{number % 10}": b"%d" % number})
        expected = dict(graph.state(tip))
        graph.checkpoint_states()
    with crdtgraph.open(url) as graph, monkeypatch.context() as patch:
        patch.delattr(Contents, "changes")
        assert dict(graph.state(tip)) == expected
    with crdtgraph.open(url, read_only=True) as graph:
        assert dict(graph.state(tip)) == expected
        assert graph.checkpoint_states() == 0


def test_a_read_that_walked_far_leaves_rows_behind() -> None:
    store = MemoryStore()
    with attach(store, host=ticking()) as graph:
        tip = graph.commit(changes={"x": b"0"})
        for number in range(100):
            tip = graph.commit(parents=[tip], changes={"x": b"%d" % number})
        graph.state(tip)
        assert len(dict(store.scan(Keyspace.STATES, b"r"))) == 101
        assert graph.checkpoint_states() == 0


def test_a_row_goes_back_no_further_than_its_level_says() -> None:
    store = MemoryStore()
    with attach(store, host=ticking()) as graph:
        chain = [graph.commit(changes={"x": b"0"})]
        for number in range(1, 20):
            chain.append(graph.commit(parents=[chain[-1]], changes={f"{number}": b""}))
        graph.checkpoint_states()
        rows = Rows(store)
        found = [rows.get(commit) for commit in chain]
        assert [row.level for row in found if row] == [3, 0, 1, 0, 2, 0, 1, 0] * 2 + [3, 0, 1, 0]
        assert [row.depth for row in found if row] == list(range(20))
        for depth, row in enumerate(found):
            assert row is not None
            span = rowsing.SPANS[row.level]
            assert row.base == (None if row.level == 3 else chain[depth - span])
            names = {path for path, _ in row.items(rows.page)}
            wanted = range(depth + 1) if row.level == 3 else range(depth - span + 1, depth + 1)
            assert names == {f"{number}" if number else "x" for number in wanted}


def test_whole_states_share_the_pages_that_they_have_in_common() -> None:
    store = MemoryStore()
    with attach(store, host=ticking()) as graph:
        tip = graph.commit(changes={f"path {number}": b"v" for number in range(400)})
        for number in range(8):
            tip = graph.commit(parents=[tip], changes={"path 7": b"%d" % number})
        graph.checkpoint_states()
        pages = dict(store.scan(Keyspace.STATES, b"p"))
        whole = Rows(store).get(graph.roots()[0])
        assert whole is not None
        names = whole.pages()
        assert len(names) > 50
        assert len(pages) == len(names) + 1


def test_a_state_is_immutable_and_shares_with_those_that_follow() -> None:
    state = State().with_changes([("a", b"1"), ("b", b"2")])
    later = state.with_changes([("a", None), ("c", b"3")])
    assert dict(state) == {"a": b"1", "b": b"2"}
    assert dict(later) == {"b": b"2", "c": b"3"}
    assert state != later
    assert state == {"a": b"1", "b": b"2"}
    assert later.with_changes([("c", None), ("a", b"1")]) == state
    with pytest.raises(TypeError):
        state["a"] = b"2"  # type: ignore[index]
    with pytest.raises(TypeError):
        hash(state)
    with pytest.raises(KeyError):
        later["a"]
    assert repr(later) == "State({'b': b'2', 'c': b'3'})"


def test_the_states_of_a_search_go_on_from_the_ledgers() -> None:
    with attach(MemoryStore(), host=ticking()) as graph:
        base = graph.commit(changes={"board": b"empty", "turn": b"x"})
        for number in range(20):
            base = graph.commit(parents=[base], changes={"turn": b"%d" % number})
        graph.checkpoint_states()
        search = graph.search("one")
        child = search.commit(parents=[base], changes={"board": b"x"})
        grandchild = search.commit(parents=[child], changes={"turn": None})
        other = search.commit(parents=[base], changes={"board": b"y", "new": b""})
        assert dict(search.state(grandchild)) == {"board": b"x"}
        assert dict(search.state(base)) == {"board": b"empty", "turn": b"19"}
        assert [dict(each) for each in graph.state_many([other, child], plane=search.plane)] == [
            {"board": b"y", "turn": b"19", "new": b""},
            {"board": b"x", "turn": b"19"},
        ]
        assert graph.diff(grandchild, other, plane=search.plane) == [
            PathChange("board", b"x", b"y"),
            PathChange("new", None, b""),
            PathChange("turn", None, b"19"),
        ]
        assert graph.diff(base, child, plane=search.plane) == [PathChange("board", b"empty", b"x")]
        search.promote(grandchild)
        assert dict(graph.state(grandchild)) == {"board": b"x"}
        with pytest.raises(NotFoundError):
            graph.state(other)


def test_the_cache_of_states_is_bounded() -> None:
    with attach(MemoryStore(), host=ticking()) as graph:
        graph.cache_states(bytes_max=20_000)
        chain = [graph.commit(changes={"x": b"0"})]
        for number in range(300):
            chain.append(graph.commit(parents=[chain[-1]], changes={f"{number}": bytes(100)}))
        graph.checkpoint_states()
        for commit in chain:
            assert len(graph.state(commit)) >= 1
            assert graph._states().cache.bytes <= 20_000
        # One that takes more than all of the cache, once it was read whole, is not kept; others are.
        graph.state(chain[3])
        assert len(graph._states().cache) > 0


def test_a_search_gives_the_cache_what_it_knows_and_has_states_made_ahead() -> None:
    with attach(MemoryStore(), host=ticking()) as graph:
        root = graph.commit(changes={"board": b""})
        search = graph.search("one")
        left = search.commit(parents=[root], changes={"board": b"l"})
        right = search.commit(parents=[root], changes={"board": b"r"})
        for child, visits, reward in ((left, 1, 900_000), (right, 5, 2_500_000)):
            search.count(child, (visits, reward))
        hints = CountedHints(graph, plane=search.plane)
        assert (hints.visits(right), hints.value(right)) == (5, 0.5)
        assert (hints.parent(right), hints.best_child(root), hints.best_child(right)) == (root, right, None)
        assert hints.parent(root) is None
        graph.cache_states(policy=LearnedPolicy(hints))
        search.state(root)
        assert graph.prefetch_states(root, plane=search.plane) == 1
        before = graph._states().cache.statistics.hits
        assert dict(search.state(right)) == {"board": b"r"}
        assert graph._states().cache.statistics.hits == before + 1
        assert graph._states().cache.statistics.prefetch_hits == 1
        search.close()
        assert (hints.visits(right), hints.parent(right), hints.best_child(root)) == (0, None, None)
        assert dict(graph.state(root)) == {"board": b""}


def test_a_damaged_page_in_the_middle_of_a_chain_is_found_and_made_anew() -> None:
    store = MemoryStore()
    with attach(store, host=ticking()) as graph:
        chain = [graph.commit(changes={"x": b"0"})]
        for number in range(1, 8):
            large = {f"{number}/{each}": b"v" for each in range(20 if number == 4 else 1)}
            chain.append(graph.commit(parents=[chain[-1]], changes=large))
        graph.checkpoint_states()
        rows = Rows(store)
        row = rows.get(chain[4])
        assert row is not None
        [name, *_] = row.pages()
        batch = Batch()
        batch.put(Keyspace.STATES, b"p" + name, b"nonsense")
        store.write(batch, sync=False)
        graph._states().clear_cache()
        assert dict(graph.state(chain[5])) == replayed(graph, chain[5])
        graph.checkpoint_states()
        graph._states().clear_cache()
        assert Rows(store).page(name).count > 0
        assert dict(graph.state(chain[5])) == replayed(graph, chain[5])


def test_a_state_of_a_few_paths_is_kept_however_often_they_were_set() -> None:
    with attach(MemoryStore(), host=ticking()) as graph:
        graph.cache_states(bytes_max=5_000)
        tip = graph.commit(changes={"x": b"0"})
        for number in range(300):
            tip = graph.commit(parents=[tip], changes={"x": b"%d" % number})
        search = graph.search("one")
        same = search.commit(parents=[tip])
        assert dict(search.state(same)) == {"x": b"299"}
        assert graph._states().cache.statistics.refusals == 0
        assert graph.state(tip) is not search.state(same)


def test_what_was_looked_at_is_marked_and_a_mark_that_is_none_is_passed_over() -> None:
    store = MemoryStore()
    with attach(store, host=ticking()) as graph:
        tip = graph.commit(changes={"x": b"0"})
        for number in range(70):
            tip = graph.commit(parents=[tip], changes={"x": b"%d" % number})
        assert graph.checkpoint_states() == 71
        graph.flush()
        states = States(graph._plane(LEDGER), store)
        assert states.needs_rows() == 71
        assert run(states.make_steps()) == 0
        assert states.needs_rows() == 0
        for nonsense in (b"", b"abc", b"\xff" * 40, b"\0" * 41):
            batch = Batch()
            batch.put(Keyspace.STATES, b"marked", nonsense)
            store.write(batch, sync=False)
            assert run(States(graph._plane(LEDGER), store).make_steps()) == 0


class RefusingStore(MemoryStore):
    full = False

    def write(self, batch: Batch, *, sync: bool) -> None:
        if self.full:
            raise StoreError("no space left on device")
        super().write(batch, sync=sync)


def test_a_disk_that_refuses_costs_no_state() -> None:
    store = RefusingStore()
    with attach(store, host=ticking()) as graph:
        chain = [graph.commit(changes={"x": b"0"})]
        for number in range(50):
            chain.append(graph.commit(parents=[chain[-1]], changes={f"{number}": b"v"}))
        graph.flush()
        store.full = True
        assert dict(graph.state(chain[-1])) == replayed(graph, chain[-1])
        with pytest.raises(StoreError):
            graph.checkpoint_states()
        for commit in chain:
            assert dict(graph.state(commit)) == replayed(graph, commit)
        store.full = False
        graph.checkpoint_states()
        graph._states().clear_cache()
        for commit in chain:
            assert dict(graph.state(commit)) == replayed(graph, commit)
        assert len(dict(store.scan(Keyspace.STATES, b"r"))) == len(chain)
