"""docs/divergence.md is a session that happened: every command in it is run again, and prints what stands there.

What differs from one run to the next (ids, times, ports, durations) is replaced by a word on both sides before they are
compared; everything else must be equal to the letter.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from .conftest import ROOT

GUIDE = ROOT / "docs" / "divergence.md"
START = "make nodes"
COMMAND_TIMEOUT_S = 60
STOP_TIMEOUT_S = 60

VARYING = (
    (re.compile(r"\b\d{4}-\d\d-\d\d[ T]\d\d:\d\d(:\d\d(\.\d+)?)?( UTC|Z)?"), "<time>"),
    (re.compile(r"\b\d\d:\d\d:\d\d\b"), "<time>"),
    (re.compile(r"127\.0\.0\.1:\d+"), "<address>"),
    (re.compile(r"\b[0-9a-f]{8,64}\b"), "<id>"),
    (re.compile(r"\b\d+(\.\d+)? ?(us|ms|s|min|h|kB|KB|kiB|KiB|MB|MiB|bytes|B)\b"), "<measured>"),
    (re.compile(r"\b\d+m\d\ds\b"), "<measured>"),
    (re.compile(r" +"), " "),
    (re.compile(r"[─-]{3,}"), "---"),
)


@dataclass(frozen=True)
class Step:
    """A command of the guide and what it prints there."""

    command: str
    printed: str


def steps(text: str) -> list[Step]:
    """The commands in its `console` blocks, in order. A command that ends in a backslash goes on in the next line."""
    found: list[Step] = []
    for block in re.findall(r"^```console\n(.*?)^```", text, re.S | re.M):
        for part in re.split(r"^\$ ", block, flags=re.M)[1:]:
            command, _, printed = part.partition("\n")
            while command.endswith("\\"):
                more, _, printed = printed.partition("\n")
                command = command[:-1] + more.strip()
            found.append(Step(command, printed))
    return found


def leveled(text: str) -> list[str]:
    """The lines without what varies from run to run."""
    for pattern, word in VARYING:
        text = pattern.sub(word, text)
    return [line.rstrip() for line in text.strip().splitlines()]


@pytest.mark.slow
def test_the_session_in_the_guide_happens_again(tmp_path: Path) -> None:
    first, *others = steps(GUIDE.read_text(encoding="utf-8"))
    assert first.command.startswith(START)
    folder = tmp_path / "n"
    environment = {
        **os.environ,
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "PYTHONPATH": str(ROOT),
        "XDG_CONFIG_HOME": str(tmp_path / "config"),
        "NO_COLOR": "1",
        "COLUMNS": "120",
        "PAGER": "",
    }
    nodes = subprocess.Popen(
        [sys.executable, "-u", "-m", "examples.demo", "--nodes", str(folder)],
        cwd=ROOT,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        assert nodes.stdout is not None
        ready = nodes.stdout.readline()
        assert ready.startswith("ready"), ready
        differ = []
        for step in others:
            done = subprocess.run(
                ["bash", "-c", step.command],
                cwd=folder,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                timeout=COMMAND_TIMEOUT_S,
            )
            if leveled(done.stdout) != leveled(step.printed):
                differ.append(f"$ {step.command}\n{done.stdout}\n--- in the guide:\n{step.printed}")
        assert not differ, "\n\n".join(differ)
    finally:
        nodes.send_signal(signal.SIGTERM)
        nodes.communicate(timeout=STOP_TIMEOUT_S)
    assert nodes.returncode == 0


def test_what_varies_is_leveled_and_nothing_else() -> None:
    assert leveled("3 commits ahead of 4d691114e787 at 127.0.0.1:42387") == ["3 commits ahead of <id> at <address>"]
    assert leveled("from 2026-11-27 16:00:01 UTC, 12.5 ms, deadbeef") == ["from <time>, <measured>, <id>"]
    assert leveled("defaced 12 of 34") == ["defaced 12 of 34"]


def test_the_reader_of_the_guide_finds_commands_and_what_they_print() -> None:
    text = "x\n```console\n$ a \\\n    b\none\ntwo\n$ c\n```\n```sh\n$ no\n```\n"
    assert steps(text) == [Step("a b", "one\ntwo\n"), Step("c", "")]
