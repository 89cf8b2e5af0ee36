"""A split brain between real processes, cut by hand and written down by both; one of them dies in the middle of it."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from .conftest import CommandLine
from .test_cluster import Line


@pytest.fixture
def pair(tmp_path: Path, crdtgraph: CommandLine) -> Iterator[Line]:
    line = Line(tmp_path, "ab")
    line.run = crdtgraph
    try:
        line.until(lambda: line.states() == {"a": "up", "b": "up"})
        yield line
    finally:
        line.end()


def episodes(line: Line, at: str, *options: str) -> list[dict[str, object]]:
    found = line.ask("episodes", *options, "-o", "json", at=at).json
    assert isinstance(found, list)
    return found


def names(side: object) -> list[str]:
    assert isinstance(side, list)
    return [each["name"] for each in side]


def both_write(line: Line) -> None:
    for name, count in (("a", 2), ("b", 3)):
        for number in range(count):
            assert line.ask("commit", "--ref", "main", "-m", f"{name}{number}", at=name).code == 0


def agree(line: Line) -> bool:
    return line.ask_all("ab", "diverge", "--stat").code == 0


def test_both_sides_write_it_down(pair: Line) -> None:
    assert episodes(pair, "a") == []
    assert pair.ask("block", "b").code == 0
    pair.until(lambda: len(episodes(pair, "a", "--open")) == len(episodes(pair, "b", "--open")) == 1)
    both_write(pair)
    [going_on] = episodes(pair, "a")
    assert (going_on["kind"], going_on["to_us"], going_on["commits_ours"]) == ("open", None, 2)
    assert "still open" in pair.ask("episodes").out
    assert episodes(pair, "a", "--split") == []
    assert pair.ask("unblock", "b").code == 0
    pair.until(lambda: bool(episodes(pair, "a", "--split") and episodes(pair, "b", "--split")))
    [seen_by_a], [seen_by_b] = episodes(pair, "a"), episodes(pair, "b")
    assert (names(seen_by_a["ours"]), names(seen_by_a["theirs"])) == (["a"], ["b"])
    assert (names(seen_by_b["ours"]), names(seen_by_b["theirs"])) == (["b"], ["a"])
    assert (seen_by_a["commits_ours"], seen_by_a["commits_theirs"], seen_by_a["exact"]) == (2, 3, True)
    assert (seen_by_b["commits_ours"], seen_by_b["commits_theirs"], seen_by_b["exact"]) == (3, 2, True)
    assert seen_by_a["conflicts"] == seen_by_b["conflicts"] == ["main"]
    assert seen_by_a["ended"] == "reconnected"
    assert "2 | 3" in pair.ask("episodes").out
    # It stays when the node is gone.
    pair.processes["a"].end(signal.SIGTERM)
    assert pair.run("episodes", "--store", pair.place("a"), "-o", "json").json == [seen_by_a]


def test_a_node_that_is_killed_in_the_middle_knows_it_afterwards(pair: Line) -> None:
    assert pair.ask("block", "b").code == 0
    pair.until(lambda: len(episodes(pair, "a", "--open")) == 1)
    both_write(pair)
    pair.processes["a"].end(signal.SIGKILL)
    place = pair.place("a")
    assert [each["kind"] for each in pair.run("episodes", "--store", place, "-o", "json").json] == ["open"]  # type: ignore[attr-defined]
    # The blocklist of a was in memory: it is whole again as soon as it is back.
    process = pair.processes["a"] = type(pair.processes["a"])(
        pair.folder, "serve", "--store", "a.db", "--listen", "127.0.0.1:0", "--name", "a", "--log", "json",
        "--peer", str(pair.members(at="b")["b"]["addresses"][0]),
    )  # fmt: skip
    process.wait_for('"ready"')
    pair.until(lambda: bool(episodes(pair, "a", "--split") and agree(pair)))
    [episode] = episodes(pair, "a")
    assert (episode["commits_ours"], episode["commits_theirs"]) == (2, 3)


def test_converge_heals_what_is_still_cut(pair: Line) -> None:
    assert pair.ask("block", "b").code == 0
    pair.until(lambda: len(episodes(pair, "a", "--open")) == len(episodes(pair, "b", "--open")) == 1)
    both_write(pair)
    assert pair.ask_all("ab", "converge").code == 0
    assert pair.ask("unblock", "b").code == 0
    pair.until(lambda: bool(episodes(pair, "a", "--split") and episodes(pair, "b", "--split")))
    [episode] = episodes(pair, "b")
    assert (episode["ended"], episode["commits_ours"], episode["commits_theirs"]) == ("converged", 3, 2)
    assert episode["conflicts"] == ["main"]


def test_a_node_that_is_stopped_and_started_has_lived_through_nothing(pair: Line) -> None:
    pair.processes["b"].end(signal.SIGTERM)
    pair.until(lambda: len(episodes(pair, "a", "--open")) == 1)
    process = pair.processes["b"] = type(pair.processes["b"])(
        pair.folder, "serve", "--store", "b.db", "--listen", "127.0.0.1:0", "--name", "b", "--log", "json",
        "--peer", str(pair.members()["a"]["addresses"][0]),
    )  # fmt: skip
    process.wait_for('"ready"')
    pair.until(lambda: episodes(pair, "a") == [] == episodes(pair, "b"))
