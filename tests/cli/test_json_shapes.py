"""docs/json.md pins the keys of every command's JSON: each is run, and what it prints has the keys that stand there.

A shape is JSON itself: an object with a type for every key, `[shape]` for a list. A key that ends in "?" may be null,
one in "??" may be absent, the key "*" stands for any key, and some shapes have names.
"""

from __future__ import annotations

import json
import re
import shlex
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

import crdtgraph as library
from cli.commands import branch, context, export, importing, mcts, merge_policy, object, searches, simulate, store
from cli.main import COMMANDS
from crdtgraph.backup import write_backup
from crdtgraph.episodes import write_episode
from crdtgraph.store import open_store
from sync.client.blocking import BlockingControlClient
from tests.crdtgraph.test_episodes import OVER

from .conftest import ROOT, CommandLine, Process
from .searching import searching
from .test_cluster import PATIENCE_S, Line
from .tree_running import NIM, until_it_grows

PAGE = ROOT / "docs" / "json.md"
GROUPS = {
    "branch": branch.COMMANDS,
    "context": context.COMMANDS,
    "export": export.COMMANDS,
    "import": importing.COMMANDS,
    "mcts": mcts.COMMANDS,
    "merge-policy": merge_policy.COMMANDS,
    "object": object.COMMANDS,
    "searches": searches.COMMANDS,
    "simulate": simulate.COMMANDS,
    "store": store.COMMANDS,
}
TYPES = {"text": str, "id": str, "int": int, "number": (int, float), "bool": bool}

SHAPES = {
    "init": ["init --store new.db"],
    "import git": ["import git repository"],
    "import jsonl": ["import jsonl graph.jsonl --store empty.db"],
    "export jsonl": ["export jsonl other.jsonl"],
    "export dot": ["export dot graph.dot"],
    "export graphml": ["export graphml graph.xml"],
    "export git": ["export git bare.git"],
    "verify": ["verify --compare graph.jsonl", "verify --compare graph.jsonl --store left.db"],
    "commit": ["commit -m more --set a=b --ref more", "commit -m more --parent main"],
    "show": ["show main side", "show 'main | side' --store conflict.db", "show 'roots()'"],
    "show -p": ["show -p main", "show -p main side"],
    "log": ["log", "log main..side"],
    "log --graph": ["log --graph", "log --graph 'main | roots()'"],
    "refs": ["refs", "refs --store conflict.db"],
    "state": ["state main"],
    "state PATH": ["state main board", "state main raw"],
    "diff": ["diff main side", "diff main side --stat", "diff main side --name-only", "diff main main"],
    "merge-base": ["merge-base main side", "merge-base --all main side"],
    "history": ["history main", "history --meta owner"],
    "ops": ["ops"],
    "merge": [
        "merge main --dry-run", "merge main --dry-run --store conflict.db",
        "merge main --policy '**=latest' --store conflict.db",
    ],
    "branch ls": ["branch ls", "branch ls --store conflict.db --into side", "branch ls --node a.db/control"],
    "branch merge": ["branch merge side", "branch merge main --into side --policy '**=latest' --store conflict.db"],
    "branch rm": ["branch rm side --force"],
    "mcts run": [
        "mcts run nim.py:Nim --budget 50 --store search.db", "mcts run nim.py:Nim --budget 50 --promote-to best",
    ],
    "mcts tree": ["mcts tree nim.py:Nim --store tree.db"],
    "mcts promote": ["mcts promote nim.py:Nim --ref best --store tree.db", "mcts promote nim.py:Nim --store tree.db"],
    "merge-policy set": ["merge-policy set 'scores/*' max"],
    "merge-policy ls": ["merge-policy ls"],
    "merge-policy rm": ["merge-policy rm 'notes/**'"],
    "status": ["status", "status --store waiting.db", "status --node a.db/control"],
    "status --cluster": ["status --cluster --node a.db/control"],
    "peers": ["peers --node a.db/control"],
    "peers --detailed": ["peers --detailed --node a.db/control"],
    "topology": ["topology --node a.db/control"],
    "top --once": ["top --once --node a.db/control"],
    "metrics": ["metrics --node a.db/control"],
    "digest": ["digest", "digest --node a.db/control"],
    "digest --cluster": ["digest --cluster --node a.db/control"],
    "block": ["block 127.0.0.1:9 --node a.db/control"],
    "unblock": ["unblock 127.0.0.1:9 --node a.db/control"],
    "diverge": ["diverge search.db left.db conflict.db", "diverge search.db copy.db", "diverge left.db waiting.db"],
    "diverge --watch": ["diverge search.db copy.db --watch"],
    "converge": ["converge search.db left.db --dry-run", "converge copy.db left.db"],
    "episodes": ["episodes --node b.db/control", "episodes --store lived.db"],
    "doctor": ["doctor", "doctor --node a.db/control"],
    "context add": ["context add eu --store search.db", "context add us --node a.db --use --backup graph.jsonl"],
    "context ls": ["context ls"],
    "context use": ["context use lab", "context use --none"],
    "context rm": ["context rm lab"],
    "completion": ["completion bash"],
    "fsck": ["fsck", "fsck --store empty.db"],
    "object ls": ["object ls", "object ls --store objects.db"],
    "object gc": ["object gc --dry-run", "object gc --store objects.db"],
    "searches": ["searches --node searcher.db/control", "searches --closed"],
    "searches close": ["searches close other --node searcher.db/control"],
    "forget": ["forget LOST --node a.db/control"],
    "simulate list": ["simulate list"],
    "store stats": ["store stats", "store stats --node a.db/control", "store stats --store sqlite:new.sqlite"],
    "store backup": ["store backup new.backup", "store backup a.backup --node a.db/control"],
    "store restore": [
        "store restore graph.backup --store restored.db",
        "store restore graph.backup --store sqlite:restored.sqlite --replace",
    ],
    "store migrate": [
        "store migrate search.db sqlite:moved.sqlite",
        "store migrate search.db sqlite:moved.sqlite --rollback",
        "store migrate search.db sqlite:moved.sqlite --rollback --discard",
    ],
    "simulate run": ["simulate run world.toml", "simulate run failing.toml"],
    "simulate fuzz": ["simulate fuzz --count 2"],
    "simulate replay": ["simulate replay 1"],
    "simulate shrink": ["simulate shrink failing.toml --attempts 3"],
    "simulate mutants": ['simulate mutants "refs not superseded" --seeds 3'],
}  # fmt: skip


def shapes() -> dict[str, object]:
    """Command -> the shape that the page gives for it."""
    return {command.removeprefix("crdtgraph "): shape for command, shape in blocks("###").items()}


def blocks(level: str) -> dict[str, object]:
    """Name in a heading of this level -> the JSON below it."""
    found = re.findall(
        rf"^{level} `(.+?)`\n(?:(?!#)[^\n]*\n)*?```json\n(.*?)^```", PAGE.read_text("utf-8"), re.S | re.M
    )
    return {name: json.loads(text) for name, text in found}


NAMED = blocks("####")


def mismatches(shape: object, value: object, where: str = "") -> Iterator[str]:
    """What of a value does not have the shape."""
    if isinstance(shape, list):
        if not isinstance(value, list):
            yield f"{where}: {value!r} is no list"
        else:
            for place, each in enumerate(value):
                yield from mismatches(shape[0], each, f"{where}[{place}]")
    elif isinstance(shape, dict):
        yield from _keys(shape, value, where)
    elif shape in NAMED:
        yield from mismatches(NAMED[str(shape)], value, where)
    else:
        kinds = TYPES[str(shape)]
        if not isinstance(value, kinds) or (isinstance(value, bool) and kinds is not bool):
            yield f"{where}: {value!r} is no {shape}"
        elif shape == "id" and not re.fullmatch(r"[0-9a-f]*", str(value)):
            yield f"{where}: {value!r} is no id"


def _keys(shape: dict[str, object], value: object, where: str) -> Iterator[str]:
    if not isinstance(value, dict):
        yield f"{where}: {value!r} is no object"
    elif "*" in shape:
        for key, each in value.items():
            yield from mismatches(shape["*"], each, f"{where}.{key}")
    else:
        written = {key.rstrip("?"): key for key in shape}
        missing = {name for name, key in written.items() if name not in value and not key.endswith("??")}
        for name in sorted(missing | value.keys() - written.keys()):
            yield f"{where}: {name} is {'missing' if name in missing else 'not written down'}"
        for name in written.keys() & value.keys():
            key = written[name]
            if value[name] is not None or not re.fullmatch(r"\w+\?", key):
                yield from mismatches(shape[key], value[name], f"{where}.{name}")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Stores with all that a shape can show, a repository, scenarios, and two nodes that have lost a third."""
    folder = tmp_path_factory.mktemp("shapes")
    git = "git init -q repository && cd repository && git -c user.name=A -c user.email=a@b commit -q --allow-empty -m x"
    subprocess.run(["sh", "-ec", git], cwd=folder, check=True, env={"PATH": "/usr/bin:/bin", "HOME": str(folder)})
    with library.open(str(folder / "search.db")) as graph, library.open(str(folder / "left.db")) as left:
        root = graph.commit(message="start", changes={"board": b"e2 e4", "raw": b"\xff"}, ref="main")
        graph.set_meta("owner", b"ann")
        graph.set_meta("owner", b"\xff")
        graph.set_merge_policy("notes/**", "text")
        graph.set_meta("note", b"good", commit=root)
        graph.count(root, [1, 2_000_000])
        with graph.search("over") as search:
            search.commit(parents=[root], message="x")
        gone = graph.commit(message="aside", parents=[root], changes={"notes": b"x"}, ref="side")
        graph.discard(gone)
        for delta in graph.deltas("ledger", {}):
            left.receive("ledger", delta.update)
        left.commit(message="left", changes={"board": b"d2 d4"}, ref="main")
        graph.commit(message="onward", changes={"board": b"e7 e5"}, ref="main")
        shutil.copytree(folder / "left.db", folder / "conflict.db")
        with library.open(str(folder / "conflict.db")) as conflict:
            for delta in graph.deltas("ledger", {}):
                conflict.receive("ledger", delta.update)
        # Only the second of two segments came: its commit waits.
        with library.open(str(folder / "waiting.db")) as waiting:
            *_, last = graph.segment_keys("ledger")
            waiting.adopt("ledger", graph.segments_of("ledger", last))
    library.open(str(folder / "empty.db")).close()
    library.open(f"sqlite:{folder / 'new.sqlite'}").close()
    reading = open_store(str(folder / "search.db"), read_only=True)
    with (folder / "graph.backup").open("wb") as file:
        write_backup(reading, file)
    reading.close()
    with library.open(str(folder / "objects.db")) as large:
        large.commit(changes={"a": bytes(50_000)})
    shutil.copytree(folder / "search.db", folder / "copy.db")
    (folder / "world.toml").write_text("nodes = 2\nduration_s = 3\n")
    (folder / "failing.toml").write_text("nodes = 2\nduration_s = 2\n[expect]\ncommits_min = 1000000\n")
    shutil.copytree(folder / "search.db", folder / "lived.db")
    with library.open(str(folder / "lived.db")) as lived:
        write_episode(lived.store, 0, OVER)
    with library.open(str(folder / "a.db")) as counted:
        counted.commit(message="start", ref="main")
    library.open(str(folder / "tree.db")).close()
    (folder / "nim.py").write_text(NIM)
    line = Line(folder, "abc")
    tree = Process(folder, "mcts", "run", "nim.py:Nim", "--budget", "600s", "--store", "tree.db")
    try:
        until_it_grows(folder / "tree.db" / "control")
        with BlockingControlClient(line.place("a") + "/control") as client:
            deadline = time.monotonic() + PATIENCE_S
            while len(client.call("cluster", timeout_s=0.1)["members"]) < 3:  # type: ignore[call-overload, index, arg-type]
                assert time.monotonic() < deadline
        line.processes["c"].end(signal.SIGKILL)
        with searching(folder / "searcher.db", "move 12", "other"):
            yield folder
    finally:
        line.end()
        tree.end(signal.SIGKILL)


def answers(crdtgraph: CommandLine, command: str) -> Iterator[tuple[str, object]]:
    """What the command lines for one shape print."""
    for line in SHAPES[command]:
        words = shlex.split(line)
        if "LOST" in words:
            members = crdtgraph("status", "--cluster", "--node", "a.db/control", "-o", "json").json
            assert isinstance(members, list)
            [lost] = [each["replica"] for each in members if each["name"] == "c"]
            words = [lost if word == "LOST" else word for word in words]
        outcome = crdtgraph(*words, "-o", "json")
        assert outcome.code in (0, 1), f"{line}: {outcome.err}"
        yield line, outcome.json


@pytest.fixture
def inside(folder: Path, crdtgraph: CommandLine, monkeypatch: pytest.MonkeyPatch) -> CommandLine:
    """A command line in a copy of the folder, as commands change what they are about; the nodes are where they are."""
    here = Path.cwd()
    for each in folder.iterdir():
        if each.name in ("a.db", "b.db", "c.db", "searcher.db", "tree.db"):
            (here / each.name).symlink_to(each)
        elif each.is_dir():
            shutil.copytree(each, here / each.name)
        else:
            shutil.copy(each, here)
    monkeypatch.setenv("CRDTGRAPH_STORE", "search.db")
    assert crdtgraph("export", "jsonl", "graph.jsonl").code == 0
    for name in ("lab", "b"):
        assert crdtgraph("context", "add", name, "--force", "--store", "search.db").code == 0
    return crdtgraph


@pytest.mark.parametrize("command", SHAPES)
def test_a_command_prints_the_keys_that_are_written_down(inside: CommandLine, command: str) -> None:
    shape = shapes()[command]
    seen = False
    for line, answer in answers(inside, command):
        assert list(mismatches(shape, answer)) == [], line
        seen = seen or answer != []
    assert seen, "nothing was printed that could have had a shape"


def test_every_command_has_its_shape_on_the_page() -> None:
    leaves = {f"{name} {leaf}" for name, table in GROUPS.items() for leaf in table} | (set(COMMANDS) - set(GROUPS))
    leaves.add("searches")  # It lists by itself.
    named = {" ".join(each for each in command.split() if each.islower() and each[0] != "-") for command in shapes()}
    assert named == leaves - {"serve"}
    assert set(shapes()) == set(SHAPES)


@pytest.mark.parametrize(
    "shape, value, fits",
    [
        ({"a": "int"}, {"a": 1}, True),
        ({"a": "int"}, {"a": 1, "b": 2}, False),
        ({"a": "int", "b": "int"}, {"a": 1}, False),
        ({"a": "int"}, {"a": None}, False),
        ({"a?": "int"}, {"a": None}, True),
        ({"a?": "int"}, {}, False),
        ({"a": "int"}, {"a": True}, False),
        ({"a": "number"}, {"a": 1.5}, True),
        ({"a": "id"}, {"a": "main"}, False),
        ({"a": "id"}, {"a": "00ff"}, True),
        ([{"a": "text"}], [{"a": "x"}, {"a": 1}], False),
        ({"*": "int"}, {"x": 1, "y": 2}, True),
        ([{"a": "text"}], {"a": "x"}, False),
        ({"a??": "int"}, {}, True),
        ({"a??": "int"}, {"a": None}, False),
        ("value", {"size": 1, "text": "x"}, True),
        ("value", {"size": "1"}, False),
    ],
)
def test_what_has_a_shape(shape: object, value: object, fits: bool) -> None:
    assert (list(mismatches(shape, value)) == []) is fits
