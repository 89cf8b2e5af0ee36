"""Whether a seed is the same run in every process.

Within one process some of what must not matter cannot be seen: the order of a set of strings or of addresses is the
same as long as the process lives. So a seed is run in fresh processes that hash strings differently (PYTHONHASHSEED),
and what happened, to the last byte, has to be the same in all of them.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Generator, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from crdtgraph.errors import LocalError

HASH_SEEDS = (1, 2)
_ROOT = str(Path(__file__).resolve().parent.parent)
_SCRIPT = """
import json, sys
sys.path.insert(0, sys.argv[1])
from simulations.mutants import find, planted
from simulations.runner import run
with planted(find(sys.argv[3])):
    outcome = run(int(sys.argv[2]), lines_kept=0)
print(json.dumps([outcome.trace_hash, outcome.rule, outcome.simulated_s]))
"""


@dataclass(frozen=True, slots=True)
class Comparison:
    """The world of a seed in several processes.

    Args:
        trace_hashes: of each process.
        rule: that was broken in the first of them; empty if none was.
        simulated_s: in all of them together.
    """

    seed: int
    trace_hashes: tuple[str, ...]
    rule: str
    simulated_s: float

    @property
    def is_equal(self) -> bool:
        """Whether all were the same run."""
        return len(set(self.trace_hashes)) == 1


def compare(
    seeds: Iterable[int], *, environment: Mapping[str, str], jobs: int = 1
) -> Generator[Comparison, None, None]:
    """Run each seed in fresh processes, `jobs` seeds at a time; in order of the seeds.

    Close the iterator to stop; processes that are under way are waited for. `environment` is what those processes get
    beside their PYTHONHASHSEED. Raises LocalError if one of them ends without an outcome.
    """
    pool = ThreadPoolExecutor(jobs)
    try:
        yield from pool.map(partial(compare_one, environment=environment), seeds)
    finally:
        pool.shutdown(cancel_futures=True)


def compare_one(
    seed: int,
    *,
    environment: Mapping[str, str],
    mutant: str = "unpatched",
) -> Comparison:
    """One seed as in `compare`, in code that has the bug of this name (see `simulations.mutants`)."""
    runs = [_run(seed, mutant, {**environment, "PYTHONHASHSEED": str(each)}) for each in HASH_SEEDS]
    hashes, rules, times = zip(*runs, strict=True)
    return Comparison(seed, hashes, rules[0], sum(times))


def _run(seed: int, mutant: str, environment: Mapping[str, str]) -> tuple[str, str, float]:
    done = subprocess.run(
        [sys.executable, "-c", _SCRIPT, _ROOT, str(seed), mutant],
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["no word"])[-1]
        raise LocalError(f"the process that ran seed {seed} ended with {done.returncode}: {last}")
    trace_hash, rule, simulated_s = json.loads(done.stdout)
    return trace_hash, rule, simulated_s
