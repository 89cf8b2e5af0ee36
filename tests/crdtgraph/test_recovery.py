"""Recovery for real: a process that commits and checkpoints is killed by SIGKILL, time and again, on one store."""

from __future__ import annotations

import random
import shutil
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

import crdtgraph
from crdtgraph import CheckpointUse, CommitId, LastStop
from crdtgraph.store import Batch, Keyspace, open_store
from tests.crdtgraph.test_durability import ROOT, kill_after

ROUNDS = 12

WRITER = """
    import sys
    import crdtgraph
    from crdtgraph.checkpoints import checkpointing
    from crdtgraph import projection
    checkpointing.BLOCK_ROWS = projection.BLOCK_ROWS = 8
    checkpointing.PART_ENTRIES = checkpointing.PART_ASSIGNS = 40
    graph = crdtgraph.open(sys.argv[1])
    def say(*words):
        print(*words, flush=True)
    say("recovery", graph.recovery.last_stop.value, graph.recovery.checkpoint.value)
    number = 0
    while True:
        made = [graph.commit(parents=graph.heads()[:1], message=f"{number}") for _ in range(3)]
        graph.set_ref("main", made[-1], force=True)
        for commit in made:
            graph.count(commit, [1])
        graph.set_meta("number", b"%d" % number)
        graph.flush()
        for _ in range(number % 25):
            graph.advance_checkpoint(20)
        if number % 17 == 10:
            graph.compact()
        for commit in made:
            say("acknowledged", commit.hex())
        number += 1
"""


def start(path: Path) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", textwrap.dedent(WRITER), str(path)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT)


@pytest.mark.slow
def test_killed_time_and_again_while_it_checkpoints(tmp_path: Path) -> None:
    path = tmp_path / "s"
    rng = random.Random(5)
    acknowledged: list[CommitId] = []
    recoveries: list[tuple[str, str]] = []
    for round_number in range(ROUNDS):
        for kind, *values in kill_after(start(path), rng.randrange(5, 120)):
            if kind == "recovery":
                recoveries.append((values[0], values[1]))
            elif kind == "acknowledged":
                acknowledged.append(CommitId(bytes.fromhex(values[0])))
        with crdtgraph.open(str(path), read_only=True) as graph:
            assert graph.recovery.last_stop is LastStop.UNKNOWN
            assert [commit.hex() for commit in acknowledged if commit not in graph] == []
            assert {graph.counters(commit) for commit in acknowledged} <= {(1,)}
            assert [finding.problem for finding in graph.fsck() if finding.problem] == []
            digest, meta, heads = graph.digest(), dict(graph.meta()), graph.heads()
        without = shutil.copytree(path, tmp_path / f"without-{round_number}")
        store = open_store(str(without))
        batch = Batch()
        for key, _ in store.scan(Keyspace.CHECKPOINTS):
            batch.delete(Keyspace.CHECKPOINTS, key)
        store.write(batch, sync=True)
        store.close()
        with crdtgraph.open(str(without)) as graph:
            assert graph.recovery.last_stop is LastStop.UNCLEAN
            assert graph.recovery.checkpoint is CheckpointUse.NONE
            assert (graph.digest(), dict(graph.meta()), graph.heads()) == (digest, meta, heads)
    assert recoveries[0] == ("clean", "none")
    assert {stop for stop, _ in recoveries[1:]} == {"unclean"}
    assert [use for _, use in recoveries].count("used") >= ROUNDS // 2
    assert "ignored" not in {use for _, use in recoveries}
