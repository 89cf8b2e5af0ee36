"""`crdtgraph simulate` as a process at a terminal: its progress, Ctrl-C and exit codes."""

from __future__ import annotations

import json
import os
import pty
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.conftest import ROOT, Starter


class Watched:
    """A real process whose standard error is a terminal, with its progress bar."""

    def __init__(self, folder: Path, *arguments: str) -> None:
        ours, theirs = pty.openpty()
        self.popen = subprocess.Popen(
            [sys.executable, "-m", "cli", "simulate", *arguments],
            cwd=folder,
            env={**os.environ, "PYTHONPATH": str(ROOT), "TERM": "xterm", "COLUMNS": "120"},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=theirs,
            start_new_session=True,
        )
        os.close(theirs)
        self._terminal = os.fdopen(ours, "rb", buffering=0)
        self.shown = ""

    def read_until(self, text: str) -> None:
        """Return once this is on the terminal, or there is no more to come."""
        while text not in self.shown:
            try:
                data = self._terminal.read(65_536)
            except OSError:
                return
            self.shown += re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", data.decode(errors="replace"))

    def interrupt(self) -> bytes:
        """Ctrl-C, which goes to every process of the terminal; what it printed in the end."""
        os.killpg(self.popen.pid, signal.SIGINT)
        self.read_until("nothing more")
        assert self.popen.stdout is not None
        with self.popen.stdout as stdout, self._terminal:
            printed: bytes = stdout.read()
        self.popen.wait()
        return printed


@pytest.mark.parametrize(
    "arguments, shown, message",
    [
        (["run", "long.toml"], "/20000 simulated s", r"crdtgraph: stopped after [\d.]+ of 20000 simulated s"),
        (["fuzz", "--count", "100000"], " seeds/s", r"crdtgraph: stopped after \d+ of 100000 seeds"),
        (
            ["fuzz", "--count", "100000", "--jobs", "2", "-o", "json"],
            " seeds/s",
            r"crdtgraph: stopped after \d+ of 100000 seeds",
        ),
    ],
)
def test_progress_is_shown_and_ctrl_c_says_what_was_done_so_far(
    tmp_path: Path, arguments: list[str], shown: str, message: str
) -> None:
    process = Watched(tmp_path, *arguments)
    process.read_until(shown)
    printed = process.interrupt()
    assert shown in process.shown
    assert process.popen.returncode == 130, process.shown
    assert re.fullmatch(message, process.shown.splitlines()[-1].strip())
    assert "Traceback" not in process.shown
    if "json" in arguments:
        found = json.loads(printed)
        assert (found["failed"], found["seeds"]) == ([], found["passed"])
    elif "fuzz" in arguments:
        assert re.match(rb"[\d,]+ seeds?: [\d,]+ passed, 0 failed;", printed)


def test_who_watches_a_shrinking_sees_what_is_left_out(tmp_path: Path) -> None:
    process = Watched(tmp_path, "shrink", "failing.toml", "--attempts", "400")
    process.read_until("left out machine n1: 1 machine, 0 events, ")
    process.interrupt()
    assert re.search(r"\d+/400 candidates", process.shown)
    assert process.popen.returncode in (1, 130)


def test_a_run_ends_with_the_exit_code_of_its_verdict(start: Starter) -> None:
    running = [start("simulate", "run", f"{name}.toml") for name in ("world", "failing", "none")]
    assert [each.end().code for each in running] == [0, 1, 3]
