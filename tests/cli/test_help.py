"""Help: it comes fast, every command has it, and every example in it runs."""

from __future__ import annotations

import json
import re
import shlex
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

import crdtgraph as library
from cli.commands import branch, context, export, importing, mcts, merge_policy, object, searches, simulate, store
from cli.main import COMMANDS, program
from cli.tables import Table
from crdtgraph.backup import write_backup
from crdtgraph.interchange import export_lines
from crdtgraph.store import open_store

from .conftest import ROOT, CommandLine, Starter
from .test_processes import shell
from .tree_running import NIM, until_it_grows

HEAVY = {
    "crdtgraph", "sync", "simulations", "trio", "networkx", "pycrdt", "rocksdict", "pygit2", "rich", "structlog",
    "msgpack", "msgspec", "jinja2",
}  # fmt: skip


def commands(group: click.Group, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None
        yield (*path, name), command
        if isinstance(command, click.Group):
            yield from commands(command, (*path, name))


ALL = dict(commands(program))
EXAMPLES = sorted(
    {
        line.strip().removeprefix("$ ")
        for command in (program, *ALL.values())
        for line in (command.epilog or "").splitlines()
        if line.strip().startswith("$ ")
    }
)
WORLDS_OF_THEIR_OWN = ("crdtgraph simulate fuzz", "crdtgraph simulate mutants")
"""Examples that begin so take up to a minute."""
FINDING_DIFFERENCES = ("diff", "diverge", "converge")
NAMING = (("context", "ls"), ("context", "use"), ("context", "rm"))
ARGUING = (("diverge",), ("converge",), ("store", "migrate"))
"""Their arguments name the graphs; an option that names another would do nothing."""
NEEDING_A_NODE = ("peers", "topology", "top", "metrics", "block", "unblock", "forget")


@pytest.mark.parametrize("path", ALL, ids=" ".join)
def test_every_command_has_help_with_an_example(crdtgraph: CommandLine, path: tuple[str, ...]) -> None:
    shown = crdtgraph(*path, "--help")
    assert shown.code == 0
    assert shown.out.startswith(f"Usage: crdtgraph {' '.join(path)} ")
    assert f"$ crdtgraph {' '.join(path)}" in shown.out or f"| crdtgraph {' '.join(path)}" in shown.out


@pytest.mark.parametrize("path", ALL, ids=" ".join)
def test_every_command_takes_the_common_options(path: tuple[str, ...]) -> None:
    names = {name for option in ALL[path].params for name in option.opts}
    graph = {"--store", "--node"}
    if not isinstance(ALL[path], click.Group):
        assert {"-o", "--output"} <= names
        without = path[0] in ("simulate", "completion") or path in NAMING + ARGUING
        assert graph & names == (set() if without else graph)


@pytest.mark.parametrize(
    "table, folder",
    [
        (COMMANDS, ""),
        (simulate.COMMANDS, "simulate"),
        (importing.COMMANDS, "importing"),
        (export.COMMANDS, "export"),
        (context.COMMANDS, "context"),
        (store.COMMANDS, "store"),
        (merge_policy.COMMANDS, "merge_policy"),
        (branch.COMMANDS, "branch"),
        (mcts.COMMANDS, "mcts"),
        (object.COMMANDS, "object"),
        (searches.COMMANDS, "searches"),
    ],
)
def test_the_table_names_every_command_file(table: Table, folder: str) -> None:
    files = [each for each in (ROOT / "cli" / "commands" / folder).iterdir() if not each.name.startswith("_")]
    assert {module for module, _ in table.values()} == {each.stem for each in files}


@pytest.mark.parametrize(
    "arguments", [["--help"], ["log", "--help"], ["serve", "--help"], ["simulate", "run", "--help"], ["frobnicate"]]
)
def test_help_imports_nothing_heavy(arguments: list[str]) -> None:
    code = (
        "import sys, json; from cli.main import program\n"
        f"try: program.main({arguments!r}, standalone_mode=False)\n"
        "except Exception: pass\n"
        "print(); print(json.dumps(sorted({name.partition('.')[0] for name in sys.modules})))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert not HEAVY & set(json.loads(done.stdout.splitlines()[-1]))


# Examples


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with what the examples talk about."""
    folder = tmp_path_factory.mktemp("examples")
    git = "git init -q . && git config user.name A && git config user.email a@b && git commit -q --allow-empty -m x"
    subprocess.run(["sh", "-ec", git], cwd=folder, check=True, env={"PATH": "/usr/bin:/bin", "HOME": str(folder)})
    (folder / "README.md").write_text("read me")
    (folder / "nim.py").write_text(NIM)
    yesterday = library.Host(lambda: library.SYSTEM.now_us() - 86_400_000_000, library.SYSTEM.random_bytes)
    with (
        library.open(str(folder / "search.db"), host=yesterday) as graph,
        library.open(str(folder / "left.db")) as left,
    ):
        root = graph.commit(message="start", changes={"board": b"e2 e4"}, ref="main")
        graph.set_meta("owner", b"ann")
        graph.set_merge_policy("notes/**", "text")
        graph.set_meta("note", b"a good start", commit=root)
        graph.commit(message="aside", parents=[root], changes={"notes": b"x"}, ref="side")
        (folder / "graph.jsonl").write_text("".join(line + "\n" for line in export_lines(graph)))
        for delta in graph.deltas("ledger", {}):
            left.receive("ledger", delta.update)
        left.commit(message="left", ref="main")
    shutil.copytree(folder / "search.db", folder / "right.db")
    reading = open_store(str(folder / "search.db"), read_only=True)
    with (folder / "graph.backup").open("wb") as file:
        write_backup(reading, file)
    reading.close()
    (folder / "world.toml").write_text("nodes = 2\nduration_s = 3\n")
    (folder / "failing.toml").write_text("nodes = 2\nduration_s = 2\n[expect]\ncommits_min = 1000000\n")
    return folder


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@pytest.mark.parametrize(
    "example",
    [pytest.param(each, marks=pytest.mark.slow) if each.startswith(WORLDS_OF_THEIR_OWN) else each for each in EXAMPLES],
)
def test_every_example_runs(
    prepared: Path,
    crdtgraph: CommandLine,
    start: Starter,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    example: str,
) -> None:
    shutil.copytree(prepared, tmp_path, dirs_exist_ok=True)
    monkeypatch.setenv("CRDTGRAPH_STORE", "search.db")
    words = shlex.split(example)
    if words[:2] == ["crdtgraph", "serve"]:
        ports = {port: str(free_port()) for port in re.findall(r"(?::|-port )(\d+)", example)}
        process = start(*(re.sub(r"\d+$", lambda port: ports.get(port[0], port[0]), word) for word in words[1:]))
        process.wait_for("ready")
        assert process.end(signal.SIGTERM).code == 0
        return
    if words[:2] == ["crdtgraph", "init"]:
        shutil.rmtree("search.db")
    if words[0] != "crdtgraph" or "|" in words:
        done = shell(example, tmp_path)
        assert done.returncode == 0, done.stderr
        return
    if words[1] in NEEDING_A_NODE or "--cluster" in words or words[1:3] == ["searches", "close"]:
        start("serve", "--store", "search.db").wait_for("ready")
    if words[1:3] in (["mcts", "tree"], ["mcts", "promote"]):
        start("mcts", "run", "nim.py:Nim", "--budget", "600s", "--store", "search.db").wait_for("ready")
        until_it_grows(tmp_path / "search.db" / "control")
    if words[1] == "unblock":
        crdtgraph("block", *words[2:])
    if words[1:3] in (["context", "use"], ["context", "rm"]):
        crdtgraph("context", "add", "lab", "--store", "search.db")
    outcome = crdtgraph(*words[1:])
    fine = {0, 1} if words[1] in FINDING_DIFFERENCES else {int("shrink" in words)}
    if words[1:3] == ["searches", "close"]:
        assert "no open search" in outcome.err
        fine = {3}
    if words[1] == "forget":
        # Whoever the example is about is not there.
        assert "no member" in outcome.err
        fine = {3}
    assert outcome.code in fine, outcome.err


@pytest.mark.parametrize("path", ALL, ids=" ".join)
def test_what_is_no_number_is_in_no_range(path: tuple[str, ...]) -> None:
    for option in ALL[path].params:
        if isinstance(option.type, click.FloatRange):
            with pytest.raises(click.BadParameter, match="not a number"):
                option.type.convert("nan", option, None)
