"""Fifty kills of each store on disk, and a liar who is found out; by hand a thousand: see `kills`."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def run(folder: Path, kind: str, kills: int, *arguments: str) -> tuple[int, dict[str, int], str]:
    # A process of its own: its lives are forks, and this one may have threads of an engine.
    command = [sys.executable, "-m", "tests.crdtgraph.kills", "--kills", str(kills), "--store", kind, *arguments]
    # A store with something wrong is kept, in this folder.
    environment = {**os.environ, "TMPDIR": str(folder)}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    return done.returncode, json.loads(done.stdout), done.stderr


@pytest.mark.parametrize("kind", ["rocksdb", "sqlite"])
@pytest.mark.parametrize("kills", [5, pytest.param(50, marks=pytest.mark.slow)])
def test_no_kill_loses_what_was_promised_or_leaves_a_store_that_does_not_open(
    tmp_path: Path, kind: str, kills: int
) -> None:
    code, tally, errors = run(tmp_path, kind, kills)
    assert code == 0, (tally, errors)
    assert tally["kills"] == kills
    assert tally["promises"] > 0
    assert (tally["lost"], tally["unopened"], tally["broken"]) == (0, 0, 0)


@pytest.mark.slow
def test_a_promise_that_is_made_too_early_is_found_out(tmp_path: Path) -> None:
    code, tally, errors = run(tmp_path, "sqlite", 200, "--lie")
    assert code == 1, tally
    assert tally["lost"] > 0
    assert "lost: " in errors
