"""The same seed in fresh processes: the same run, and what leaks from a process is seen."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from crdtgraph import LocalError
from simulations.determinism import HASH_SEEDS, Comparison, compare
from simulations.runner import run

ROOT = Path(__file__).resolve().parents[2]


def planted(folder: Path, code: str) -> dict[str, str]:
    """An environment whose processes run this code first, with the trace of worlds as `trace`."""
    (folder / "sitecustomize.py").write_text(
        f"import sys\nsys.path.insert(0, {str(ROOT)!r})\nimport simulations.trace as trace\n{code}"
    )
    return {**os.environ, "PYTHONPATH": str(folder)}


@pytest.mark.slow
def test_seeds_are_the_same_run_in_every_process() -> None:
    found = list(compare([5, 7], environment=os.environ, jobs=2))
    expected = [run(seed) for seed in (5, 7)]
    assert found == [
        Comparison(each.seed, (each.trace_hash,) * len(HASH_SEEDS), "", each.simulated_s * len(HASH_SEEDS))
        for each in expected
    ]
    assert all(each.is_equal for each in found)


@pytest.mark.slow
def test_an_order_that_leaks_from_a_process_is_seen(tmp_path: Path) -> None:
    environment = planted(
        tmp_path,
        "real = trace.Trace.note\n"
        "def note(self, who, what, detail=''):\n"
        "    real(self, who, what, detail + ''.join({'a', 'b', 'c', 'd', 'e', 'f', 'g'}))\n"
        "trace.Trace.note = note\n",
    )
    (found,) = compare([5], environment=environment)
    assert not found.is_equal


def test_a_broken_rule_is_told(tmp_path: Path) -> None:
    (found,) = compare([5], environment=planted(tmp_path, "trace.Trace.note = lambda *_: 1 / 0"))
    assert found.is_equal
    assert found.rule == "no exception but the library's own"


def test_a_process_without_an_outcome_is_an_error(tmp_path: Path) -> None:
    environment = planted(tmp_path, "trace.Trace.digest = property(lambda _: sys.exit('gone'))")
    with pytest.raises(LocalError, match="seed 5 ended with 1: gone"):
        list(compare([5], environment=environment))
