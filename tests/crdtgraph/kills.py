"""A real process that is killed at random moments under load, again and again, on one and the same store.

    python -m tests.crdtgraph.kills --kills 1000 --store sqlite

Each life opens what the lives before left, checks that everything they promised is there, and goes on writing: critical
commits that move a ref, normal ones that are flushed together, counts, discards, and now and then a compaction. Each
promise is a line: the ids of commits, written when the call that made them durable has returned. The parent kills it in
mid-load, in mid-recovery or in mid-check; a few lives end with a clean close, so that checkpoints come into it. One
store takes all kills, so recoveries pile up on recoveries.

Lives are forks of a process that has imported everything and opened nothing, as RocksDB's threads would not survive a
fork. SIGKILL takes the process and not the machine: what this shows is that nothing waits in the process which was
promised to be beyond it, and that no moment leaves a store that doesn't open. What a power cut takes, the simulator's
disk takes.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import select
import shutil
import signal
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

import crdtgraph
import crdtgraph.fsck
import crdtgraph.store.rocksdb
import crdtgraph.store.sqlite
from crdtgraph import CommitId, Durability, Graph

KINDS = ("rocksdb", "sqlite")
PATIENCE_S = 60.0
COMMITS_MAX = 60  # In one life, so that a thousand of them leave a graph that opens in no time.
LINE_BYTES = 65  # A letter and an id in hex, and the end of the line is one more.

Say = Callable[..., None]


@dataclass(slots=True)
class Tally:
    """What came of it. All but `kills`, `lives` and `promises` has to be zero."""

    store: str
    kills: int = 0
    lives: int = 0
    promises: int = 0
    lost: int = 0
    unopened: int = 0
    broken: int = 0
    seconds: float = 0.0

    @property
    def is_good(self) -> bool:
        """Whether nothing was lost and every store opened."""
        return not (self.lost or self.unopened or self.broken)


def strike(kind: str, kills: int, *, seed: int, say: bool = False, lie: bool = False) -> Tally:
    """Kill a process so many times; the store is removed unless something was wrong.

    With `lie` it promises what it has not made durable yet, to see that this is noticed.
    """
    rng = random.Random(seed)
    folder = Path(tempfile.mkdtemp(prefix="kills-"))
    url = f"{kind}:{folder / 'store'}"
    tally = Tally(kind)
    promised: list[str] = []
    began = time.monotonic()
    while tally.kills < kills:
        _one_life(url, promised, tally, rng, lie=lie)
        if say and tally.lives % 50 == 0:
            _note(f"{kind}: {tally.kills} kills, {len(promised)} promises")
        if not tally.is_good:
            break
    tally.promises = len(promised)
    # Once more in the end, with every check there is.
    if tally.is_good:
        with _life(url, promised, last=True) as (process, reading):
            _heed(_lines(reading, PATIENCE_S), promised, tally)
            os.waitpid(process, 0)
    tally.seconds = round(time.monotonic() - began, 1)
    if tally.is_good:
        shutil.rmtree(folder)
    else:
        _note(f"the store is kept at {url}")
    return tally


def _one_life(url: str, promised: list[str], tally: Tally, rng: random.Random, *, lie: bool) -> None:
    tally.lives += 1
    with _life(url, promised, last=False, seed=rng.getrandbits(32), lie=lie) as (process, reading):
        if rng.random() < 0.3:
            # In the middle of opening, recovery or the check; or of the first writes.
            select.select([reading], [], [], rng.uniform(0, 0.05))
        else:
            # Few get to the end, and close: then a checkpoint is kept, which the next ones open from.
            wanted = rng.randrange(1, 12) if rng.random() < 0.85 else 1_000
            lines = _lines(reading, PATIENCE_S)
            for _ in range(wanted):
                line = next(lines, None)
                if line is None:
                    break
                _heed(iter([line]), promised, tally)
            time.sleep(rng.uniform(0, 0.004))
        os.kill(process, signal.SIGKILL)
        _heed(_lines(reading, PATIENCE_S), promised, tally)
        _, status = os.waitpid(process, 0)
        if os.WIFSIGNALED(status):
            tally.kills += 1


def _heed(lines: Iterator[str], promised: list[str], tally: Tally) -> None:
    for line in lines:
        match line[:1]:
            case "p":
                promised.append(line[1:])
            case "l":
                tally.lost += 1
            case "u":
                tally.unopened += 1
            case "b":
                tally.broken += 1


def _lines(reading: int, patience_s: float) -> Iterator[str]:
    """Whole lines of a pipe until its end; half a line at the end was never said."""
    rest = b""
    while True:
        ready, _, _ = select.select([reading], [], [], patience_s)
        if not ready:
            raise TimeoutError("a life hangs")
        # No further than the end of a line, as the next one to read may be somebody else.
        data = os.read(reading, LINE_BYTES + 1 - len(rest))
        if not data:
            return
        rest += data
        if rest.endswith(b"\n"):
            yield rest.decode().strip()
            rest = b""


@contextmanager
def _life(url: str, promised: list[str], *, last: bool, seed: int = 0, lie: bool = False) -> Iterator[tuple[int, int]]:
    reading, writing = os.pipe()
    process = os.fork()
    if process == 0:
        os.close(reading)
        code = 1
        try:
            _live(url, promised, writing, last=last, rng=random.Random(seed), lie=lie)
            code = 0
        finally:
            os._exit(code)
    os.close(writing)
    try:
        yield process, reading
    finally:
        try:
            os.kill(process, signal.SIGKILL)
            os.waitpid(process, 0)
        except (ProcessLookupError, ChildProcessError):
            pass
        os.close(reading)


# In the process that is killed


def _live(url: str, promised: list[str], writing: int, *, last: bool, rng: random.Random, lie: bool) -> None:
    def say(kind: str, text: str = "") -> None:
        os.write(writing, f"{kind}{text:<64}\n".encode())

    try:
        graph = crdtgraph.open(url)
    except crdtgraph.CrdtGraphError:
        traceback.print_exc()
        say("u")
        return
    try:
        _check(graph, promised, say, everything=last)
        if not last:
            _load(graph, say, rng, lie=lie)
        graph.close()
    except Exception:
        traceback.print_exc()
        say("b")


def _check(graph: Graph, promised: list[str], say: Say, *, everything: bool) -> None:
    """Everything that was promised is there; the ref has moved at least as far as was said."""
    for each in promised if everything else promised[-400:]:
        if CommitId(bytes.fromhex(each)) not in graph:
            _note(f"lost: {each}")
            say("l")
    moved = [CommitId(bytes.fromhex(each)) for each in promised[-400:] if each]
    critical = [each for each in moved if each in graph and graph.get(each).message == "critical"]
    if critical:
        assert graph.is_ancestor(critical[-1], CommitId(graph.refs["main"]))
    if everything:
        for finding in graph.fsck():
            assert not finding.problem, finding


def _load(graph: Graph, say: Say, rng: random.Random, *, lie: bool) -> None:
    normal: list[CommitId] = []
    for n in range(COMMITS_MAX):
        content = {"path": rng.randbytes(rng.choice((10, 200, 5_000)))}
        if rng.random() < 0.3:
            parents = [CommitId(graph.refs["main"])] if "main" in graph.refs else []
            made = graph.commit(message="critical", parents=parents, changes=content, ref="main")
            say("p", made.hex())
        else:
            parents = [normal[-1]] if normal else []
            made = graph.commit(message="normal", parents=parents, changes=content, durability=Durability.NORMAL)
            normal.append(made)
            if lie:
                say("p", made.hex())
            graph.count(made, [n, 1])
        if rng.random() < 0.2:
            graph.flush()
            for each in normal:
                say("p", each.hex())
            normal = normal[-1:]
        if rng.random() < 0.02:
            graph.compact()
    if rng.random() < 0.5:
        graph.flush()
        for each in normal:
            say("p", each.hex())


def _note(text: str) -> None:
    sys.stderr.write(text + "\n")


def main() -> int:
    """Parse the command line, kill, report."""
    parser = argparse.ArgumentParser(description="Kill a process that writes to a store, and see what it lost.")
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--store", choices=[*KINDS, "all"], default="all")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--lie", action="store_true", help="promise too early, to see that it is noticed")
    options = parser.parse_args()
    is_good = True
    for kind in KINDS if options.store == "all" else [options.store]:
        tally = strike(kind, options.kills, seed=options.seed, say=options.kills > 200, lie=options.lie)
        sys.stdout.write(json.dumps(asdict(tally)) + "\n")
        sys.stdout.flush()
        is_good = is_good and tally.is_good
    return 0 if is_good else 1


if __name__ == "__main__":
    sys.exit(main())
