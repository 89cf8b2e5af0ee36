"""Real processes: streams, pipes, signals, and a disk that is full."""

from __future__ import annotations

import os
import re
import resource
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

import crdtgraph as library
from cli.commands.importing import git as import_git

from .conftest import ROOT, CommandLine, Process, Starter

FEW_BYTES = 400_000


def shell(script: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run a bash script in which `crdtgraph` is the program."""
    wrapper = f'crdtgraph() {{ "{sys.executable}" -m cli "$@"; }}; '
    return subprocess.run(
        ["bash", "-c", wrapper + script],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def test_answers_go_to_standard_output_and_failures_to_standard_error(store: str, tmp_path: Path) -> None:
    fine = shell("crdtgraph log", tmp_path)
    assert (fine.returncode, fine.stderr) == (0, "")
    wrong = shell("crdtgraph show nope", tmp_path)
    assert (wrong.returncode, wrong.stdout) == (3, "")


def test_python_m_cli_names_itself_crdtgraph(tmp_path: Path) -> None:
    assert shell("crdtgraph --help", tmp_path).stdout.startswith("Usage: crdtgraph ")
    assert shell("crdtgraph --version", tmp_path).stdout.startswith("crdtgraph ")


def test_a_reader_that_goes_away_ends_the_command_quietly(store: str, tmp_path: Path) -> None:
    with library.open(tmp_path.joinpath(store).as_posix()) as graph:
        graph.commit_many(library.Commit((), "a", n, "x" * 200) for n in range(5_000))
    done = shell("crdtgraph log | head -n 1; exit ${PIPESTATUS[0]}", tmp_path)
    assert (done.returncode, done.stderr) == (141, "")
    assert len(done.stdout.splitlines()) == 1


def test_a_full_disk_under_standard_output_is_reported(store: str, tmp_path: Path) -> None:
    done = shell("crdtgraph log > /dev/full", tmp_path)
    assert done.returncode == 2
    assert done.stderr == "crdtgraph: No space left on device\n"


def test_names_that_the_terminal_cannot_show_are_escaped(crdtgraph: CommandLine, store: str, tmp_path: Path) -> None:
    crdtgraph("commit", "-m", "größer \u2192", "--ref", "main")
    done = shell("PYTHONIOENCODING=ascii crdtgraph log -n 1 main", tmp_path)
    assert done.returncode == 0
    assert "gr\\xf6\\xdfer \\u2192" in done.stdout


def test_a_full_disk_fails_the_commit_and_leaves_the_store_good(
    crdtgraph: CommandLine, store: str, start: Starter, tmp_path: Path
) -> None:
    before = crdtgraph("digest").out
    (tmp_path / "large").write_bytes(os.urandom(FEW_BYTES * 2))

    def no_large_files() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (FEW_BYTES, FEW_BYTES))

    failed = start("commit", "--file", "a=large", "--ref", "main", "--store", store, preexec_fn=no_large_files).end()
    assert failed.code == 5
    assert failed.err.startswith("crdtgraph: ")
    assert "Traceback" not in failed.err
    assert crdtgraph("digest").out == before
    assert crdtgraph("fsck").code == 0
    assert crdtgraph("commit", "--file", "a=large", "--ref", "main").code == 0


@pytest.mark.parametrize("number, code", [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_signal_in_the_middle_of_an_import_ends_it_in_good_order_and_it_resumes(
    crdtgraph: CommandLine, store: str, tmp_path: Path, number: int, code: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    linear_history(tmp_path / "long", 3_500)
    real = import_git.graph_of

    class Interrupting:
        """A graph that gets the signal while it makes the second batch."""

        def __init__(self, graph: library.Graph) -> None:
            self.graph = graph
            self.batches = 0

        def __getattr__(self, name: str) -> object:
            return getattr(self.graph, name)

        def commit_many(self, commits: list[library.Commit]) -> object:
            self.batches += 1
            if self.batches == 2:
                os.kill(os.getpid(), number)
            return self.graph.commit_many(commits)

    with monkeypatch.context() as patched:
        patched.setattr(import_git, "graph_of", lambda backend: Interrupting(real(backend)))
        stopped = crdtgraph("import", "git", "long")
    assert stopped.code == code
    assert stopped.err == "crdtgraph: stopped after 2000 of 3500 commits; run it again to go on\n"
    assert "imported 1500 commits" in crdtgraph("import", "git", "long").out
    crdtgraph("init", "--store", "whole.db")
    assert "imported 3500 commits" in crdtgraph("import", "git", "long", "--store", "whole.db").out
    logs = [crdtgraph("log", "tip", "-o", "json", "--store", each).json for each in (store, "whole.db")]
    assert logs[0] == logs[1]


KILLED_IN_THE_THIRD_BATCH = """
import os, signal, sys
from cli.main import main
from crdtgraph.gitbridge import GraphTarget

batches = []
real = GraphTarget.commit_many

def commit_many(self, commits):
    batches.append(real(self, commits))
    if len(batches) == 3:
        os.kill(os.getpid(), signal.SIGKILL)
    return batches[-1]

GraphTarget.commit_many = commit_many
main()
"""


def test_sigkill_in_the_middle_of_an_import_loses_no_finished_batch(
    crdtgraph: CommandLine, store: str, tmp_path: Path
) -> None:
    linear_history(tmp_path / "long", 3_500)
    killed = subprocess.run(
        [sys.executable, "-c", KILLED_IN_THE_THIRD_BATCH, "import", "git", "long", "--store", store],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        check=False,
    )
    assert killed.returncode == -signal.SIGKILL
    assert crdtgraph("fsck").code == 0
    kept = len(crdtgraph("log").out.splitlines()) - 3
    assert 2_000 <= kept < 3_500
    assert f"imported {3_500 - kept} commits" in crdtgraph("import", "git", "long").out
    assert len(crdtgraph("log", "tip").out.splitlines()) == 3_500


def linear_history(folder: Path, commits: int) -> None:
    subprocess.run(["git", "init", "--quiet", "--bare", str(folder)], check=True)
    lines = [
        f"commit refs/heads/tip\ncommitter A <a@b> {1_700_000_000 + number} +0000\ndata {len(str(number))}\n{number}\n"
        for number in range(commits)
    ]
    subprocess.run(["git", "-C", str(folder), "fast-import", "--quiet"], input="".join(lines).encode(), check=True)


# serve


def test_serve_creates_its_store_and_stops_cleanly_on_sigterm(
    crdtgraph: CommandLine, start: Starter, tmp_path: Path
) -> None:
    process = start("serve", "--store", "new.db", "--listen", "127.0.0.1:0", "--cluster", "lab")
    process.wait_for("ready")
    assert (tmp_path / "new.db" / "control").is_socket()
    assert crdtgraph("commit", "-m", "x", "--ref", "main", "--node", "new.db").code == 0
    stopped = process.end(signal.SIGTERM)
    assert (stopped.code, stopped.stdout) == (0, b"")
    assert "stopped" in stopped.err
    assert not (tmp_path / "new.db" / "control").exists()
    assert len(crdtgraph("log", "--store", "new.db").out.splitlines()) == 1


def test_serve_logs_json_lines_if_asked(start: Starter) -> None:
    process = start("serve", "--store", "new.db", "--log", "json", "--control", "elsewhere")
    process.wait_for('"event": "ready"')
    process.end(signal.SIGINT)


def test_a_second_node_on_a_store_is_refused(node: Process, store: str, start: Starter) -> None:
    second = start("serve", "--store", store).end()
    assert second.code == 5
    assert "already open" in second.err
    assert "search.db/control" in second.err


@pytest.mark.parametrize("option", ["--listen", "--control-listen"])
@pytest.mark.parametrize("url", ["new.db", "sqlite:new.db"])
def test_a_port_that_is_taken_leaves_no_store_behind(
    crdtgraph: CommandLine, tmp_path: Path, option: str, url: str
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        place = f"127.0.0.1:{taken.getsockname()[1]}"
        failed = crdtgraph("serve", "--store", url, "--listen", "127.0.0.1:0", option, place)
    assert failed.code == 2
    assert failed.err.splitlines() == [
        f"crdtgraph: cannot listen on {place}: Address already in use",
        "hint: use another port, or 0 for any",
    ]
    assert list(tmp_path.iterdir()) == []


def test_a_node_that_is_started_twice_is_told_so_and_not_that_its_port_is_taken(
    node: Process, store: str, start: Starter
) -> None:
    found = re.search(r"127\.0\.0\.1:\d+", node.err)
    assert found is not None
    second = start("serve", "--store", store, "--listen", found[0]).end()
    assert second.code == 5
    assert "already open" in second.err


def test_a_node_killed_in_the_middle_leaves_a_store_that_opens(
    crdtgraph: CommandLine, node: Process, store: str
) -> None:
    made = crdtgraph("commit", "-m", "durable", "--ref", "main", "--node", store).out
    node.end(signal.SIGKILL)
    assert Path(store, "control").is_socket(), "stale, and no obstacle"
    [shown] = crdtgraph("show", "main", "-o", "json").json
    assert isinstance(shown, dict)
    assert shown["id"] == made.strip()
    assert crdtgraph("commit", "-m", "on", "--ref", "main").code == 0
