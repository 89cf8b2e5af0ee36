"""The example of a fleet of agents ends with everything in main, although one of them is killed."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.cli.conftest import ROOT


@pytest.mark.slow
def test_a_fleet_of_agents_loses_nothing() -> None:
    command = [sys.executable, "-m", "examples.agents", "--agents", "3"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=100)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "left behind: agents/w1/task-1, 1 commits ahead of main" in done.stdout
    assert done.stdout.endswith("8 files, 8 lines in the log, one head\neverything is there\n")
