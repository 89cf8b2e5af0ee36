"""Running command lines: in this process for what they say, as real processes for how they end."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from io import BytesIO, TextIOWrapper
from pathlib import Path

import pytest

from cli.main import run

ROOT = Path(__file__).resolve().parents[2]
PATIENCE_S = 60


@dataclass(frozen=True)
class Outcome:
    """What a command line printed, and its exit code."""

    code: int
    stdout: bytes
    err: str

    @property
    def out(self) -> str:
        return self.stdout.decode()

    @property
    def json(self) -> object:
        return json.loads(self.stdout)


CommandLine = Callable[..., Outcome]


@pytest.fixture(autouse=True)
def _nothing_of_the_user(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for variable in ("CRDTGRAPH_STORE", "CRDTGRAPH_NODE", "CRDTGRAPH_CONTEXT", "CRDTGRAPH_DEBUG"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("CRDTGRAPH_CONFIG", str(tmp_path / "config-of-nobody"))


@pytest.fixture
def crdtgraph(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> CommandLine:
    """Runs `crdtgraph ARGUMENTS` in this process, in a folder of its own."""
    monkeypatch.chdir(tmp_path)

    def command_line(*arguments: str | Path, stdin: bytes = b"") -> Outcome:
        streams = {
            "stdin": TextIOWrapper(BytesIO(stdin), encoding="utf-8", errors="replace"),
            "stdout": TextIOWrapper(BytesIO(), encoding="utf-8"),
            "stderr": TextIOWrapper(BytesIO(), encoding="utf-8"),
        }
        with monkeypatch.context() as patched:
            for name, stream in streams.items():
                patched.setattr(sys, name, stream)
            code = run([str(argument) for argument in arguments])
        written = []
        for name in ("stdout", "stderr"):
            streams[name].flush()
            buffer = streams[name].buffer
            assert isinstance(buffer, BytesIO)
            written.append(buffer.getvalue())
        return Outcome(code, written[0], written[1].decode())

    return command_line


@pytest.fixture
def store(crdtgraph: CommandLine, monkeypatch: pytest.MonkeyPatch) -> str:
    """A store with two branches from one root, named by the environment."""
    assert crdtgraph("init", "--store", "search.db").code == 0
    monkeypatch.setenv("CRDTGRAPH_STORE", "search.db")
    for arguments in (
        ["-m", "start", "--set", "board=e2 e4", "--ref", "main"],
        ["-m", "aside", "--set", "notes=x", "--parent", "main", "--ref", "side"],
        ["-m", "onward", "--set", "board=e7 e5", "--ref", "main"],
    ):
        assert crdtgraph("commit", *arguments).code == 0
    return "search.db"


class Process:
    """A real `python -m cli` process. Its standard error is read all along, so that it never waits for us."""

    def __init__(self, folder: Path, *arguments: str, **options: object) -> None:
        environment = {**os.environ, "PYTHONPATH": str(ROOT), "NO_COLOR": "1"}
        self.popen = subprocess.Popen(
            [sys.executable, "-m", "cli", *arguments],
            cwd=folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            **options,  # type: ignore[call-overload]
        )
        self.err = ""
        self._lines = threading.Condition()
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def _read(self) -> None:
        for line in self.popen.stderr:
            with self._lines:
                self.err += line.decode()
                self._lines.notify_all()
        with self._lines:
            self._lines.notify_all()

    def wait_for(self, text: str) -> None:
        """Return once the process has written this to standard error."""
        with self._lines:
            ended = not self._lines.wait_for(lambda: text in self.err or not self._reader.is_alive(), PATIENCE_S)
            assert not ended, self.err
            assert text in self.err, self.err

    def end(self, number: int | None = None) -> Outcome:
        """Send a signal if one is given, wait for the end, and return what was printed."""
        if number is not None:
            self.popen.send_signal(number)
        try:
            stdout = self.popen.stdout.read()
            code = self.popen.wait(PATIENCE_S)
        except BaseException:
            self.popen.kill()
            raise
        finally:
            self._reader.join()
            self.popen.stdout.close()
            self.popen.stderr.close()
        return Outcome(code, stdout, self.err)


Starter = Callable[..., Process]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Starter]:
    """Starts processes in the test's folder; those that still run at its end are killed."""
    started: list[Process] = []

    def starter(*arguments: str, **options: object) -> Process:
        started.append(Process(tmp_path, *arguments, **options))
        return started[-1]

    yield starter
    for process in started:
        if process.popen.poll() is None:
            process.end(signal.SIGKILL)


@pytest.fixture
def node(store: str, start: Starter) -> Process:
    """A node at work on the store, with its control socket at search.db/control."""
    process = start("serve", "--store", store, "--listen", "127.0.0.1:0")
    process.wait_for("ready")
    return process
