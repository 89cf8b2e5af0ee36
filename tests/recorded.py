"""The recorded history beside the checkout as a git repository, for tests that have git as their oracle."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

BESIDE = Path(__file__).resolve().parents[1].parent / "shared"
DAG = BESIDE / "data" / "ipython.dag.tsv.zst"
TOOL = BESIDE / "tools" / "dag2git.py"
IS_THERE = DAG.exists() and TOOL.exists()
WHY_NOT = "the recorded history and the tool that rebuilds it are not beside the repository"


def environment(home: Path) -> dict[str, str]:
    """Git without the user's settings, and without waiting for the disk."""
    settings = {"GIT_CONFIG_COUNT": "1", "GIT_CONFIG_KEY_0": "core.fsync", "GIT_CONFIG_VALUE_0": "none"}
    return {"PATH": os.environ["PATH"], "HOME": str(home), "GIT_CONFIG_NOSYSTEM": "1", **settings}


def git(repository: Path, *arguments: str) -> list[str]:
    """The lines that a git command prints. One that finds nothing has exit code 1."""
    done = subprocess.run(
        ["git", "-C", str(repository), *arguments],
        env=environment(repository.parent),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode in (0, 1), done.stderr
    return done.stdout.splitlines()


def rebuild(repository: Path) -> None:
    """Make a bare repository of the recorded 37,924 commits, a ref at each head; about 4 s."""
    subprocess.run(
        [sys.executable, str(TOOL), str(DAG), str(repository)], env=environment(repository.parent), check=True
    )
    git(repository, "pack-refs", "--all")
    git(repository, "commit-graph", "write", "--reachable")
