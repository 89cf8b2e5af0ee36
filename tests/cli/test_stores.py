"""`crdtgraph store`, and a store in one file wherever a store is named."""

from __future__ import annotations

import json
import os
import resource
import signal
import subprocess
import sys
from pathlib import Path

import pytest

import crdtgraph as library

from .conftest import ROOT, CommandLine, Starter

FILE = "sqlite:search.sqlite"


def assert_fails(outcome: object, code: int, *texts: str) -> None:
    assert outcome.code == code, outcome  # type: ignore[attr-defined]
    assert "hint: " in outcome.err  # type: ignore[attr-defined]
    for text in texts:
        assert text in outcome.err, outcome  # type: ignore[attr-defined]


def digest(crdtgraph: CommandLine, store: str) -> str:
    outcome = crdtgraph("digest", "--store", store)
    assert outcome.code == 0, outcome
    return outcome.out.split()[0]


# A store in one file


def test_a_store_in_a_file_does_all_that_one_in_a_folder_does(crdtgraph: CommandLine, start: Starter) -> None:
    assert "created sqlite:" in crdtgraph("init", "--store", FILE, "--cluster", "lab").out
    assert "already" in crdtgraph("init", "--store", FILE).out
    assert crdtgraph("commit", "--store", FILE, "-m", "start", "--set", "a=b", "--ref", "main").code == 0
    process = start("serve", "--store", FILE, "--listen", "127.0.0.1:0")
    process.wait_for("ready")
    assert Path("search.sqlite.control").is_socket()
    # Reading asks the node, by whatever names it; writing is told about it.
    for place in (("--store", FILE), ("--node", "search.sqlite.control"), ("--node", "search.sqlite")):
        status = crdtgraph("status", *place, "-o", "json").json
        assert status["node"] is not None  # type: ignore[index]
    assert_fails(
        crdtgraph("commit", "--store", FILE, "-m", "x"), 5, "open in process", "--node", "search.sqlite.control"
    )
    assert (
        crdtgraph("commit", "--node", "search.sqlite.control", "-m", "more", "--parent", "main", "--ref", "main").code
        == 0
    )
    # What a SIGKILL leaves: a stale socket, a log to recover from, and all that was acknowledged.
    process.end(signal.SIGKILL)
    assert Path("search.sqlite.control").is_socket()
    assert crdtgraph("log", "--store", FILE, "-o", "jsonl").out.count("\n") == 2
    assert crdtgraph("fsck", "--store", FILE).code == 0
    process = start("serve", "--store", FILE)
    process.wait_for("ready")
    assert process.end(signal.SIGTERM).code == 0
    assert not Path("search.sqlite.control").exists()
    assert crdtgraph("doctor", "--store", FILE).code in (0, 1)


def test_replicas_in_both_kinds_of_store_become_equal(crdtgraph: CommandLine, store: str) -> None:
    assert crdtgraph("init", "--store", FILE).code == 0
    assert crdtgraph("diverge", store, FILE).code == 1
    assert crdtgraph("converge", store, FILE).code == 0
    assert digest(crdtgraph, store) == digest(crdtgraph, FILE)
    assert_fails(crdtgraph("diverge", FILE, "sqlite:./search.sqlite"), 2, "are the same replica")


def test_contexts_name_files_too(crdtgraph: CommandLine, start: Starter, tmp_path: Path) -> None:
    crdtgraph("init", "--store", FILE)
    assert crdtgraph("context", "add", "file", "--store", FILE, "--use").code == 0
    assert crdtgraph("context", "add", "gone", "--store", "sqlite:gone").code == 0
    assert crdtgraph("context", "add", "node", "--node", "search.sqlite.control").code == 0

    def states() -> dict[str, str]:
        listed = crdtgraph("context", "ls", "-o", "json").json
        assert isinstance(listed, list)
        assert listed[0]["place"] == f"sqlite:{tmp_path / 'search.sqlite'}"
        return {each["name"]: each["state"] for each in listed}

    assert states() == {"file": "store", "gone": "missing", "node": "no node"}
    process = start("serve", "--store", FILE)
    process.wait_for("ready")
    assert states() == {"file": "node answers", "gone": "missing", "node": "node answers"}
    process.end(signal.SIGTERM)
    assert crdtgraph("digest").code == 0


def test_a_control_socket_s_path_that_is_too_long_is_a_clear_error(crdtgraph: CommandLine) -> None:
    outcome = crdtgraph("serve", "--store", f"sqlite:{'d' * 60}/{'f' * 60}")
    assert outcome.code == 2, outcome
    assert "--control" in outcome.err or "control" in outcome.err


# Statistics


def test_stats_of_a_store_at_rest_and_of_a_node(crdtgraph: CommandLine, node: object, store: str) -> None:
    for line in (("store", "stats"), ("store", "stats", "--node", f"{store}/control")):
        outcome = crdtgraph(*line, "-o", "json")
        found = json.loads(outcome.out)
        assert {each["keyspace"] for each in found["keyspaces"]} >= {"meta", "log", "objects"}
        (log,) = [each for each in found["keyspaces"] if each["keyspace"] == "log"]
        assert log["entries"] == 3
        records = [each for each in found["keyspaces"] if each["keyspace"] in ("log", "strays", "objects")]
        assert sum(each["key_bytes"] + each["value_bytes"] for each in records) == found["records_bytes"]
        assert found["write_amplification"] == found["written_bytes"] / found["records_bytes"] > 1
    assert "write amplification: " in crdtgraph("store", "stats").out
    assert crdtgraph("store", "stats", "-o", "csv").out.startswith("keyspace,entries,key_bytes,value_bytes\nmeta,")


# Backups


@pytest.mark.parametrize("target", ["restored.db", "sqlite:restored.sqlite"])
def test_a_backup_of_a_running_node_comes_back_as_another_replica(
    crdtgraph: CommandLine, node: object, store: str, target: str
) -> None:
    made = crdtgraph("store", "backup", "search.backup")
    assert made.code == 0, made
    assert "entries" in made.out
    assert os.stat("search.backup").st_mode & 0o777 == 0o600
    assert_fails(crdtgraph("store", "backup", "search.backup"), 2, "there already")
    assert crdtgraph("store", "backup", "search.backup", "--force", "--node", f"{store}/control").code == 0
    restored = crdtgraph("store", "restore", "search.backup", "--store", target)
    assert restored.code == 0, restored
    assert "a replica of its own" in restored.out
    assert digest(crdtgraph, target) == digest(crdtgraph, store)
    assert crdtgraph("fsck", "--store", target).code == 0
    ours, theirs = (crdtgraph("status", "--store", each, "-o", "json").json["graph"] for each in (store, target))  # type: ignore[index]
    assert ours["replica"] != theirs["replica"]
    assert_fails(crdtgraph("store", "restore", "search.backup", "--store", target), 2, "not empty")
    assert not [each for each in os.listdir() if "unfinished" in each]


def test_half_a_backup_and_other_files_are_refused_whole(crdtgraph: CommandLine, store: str) -> None:
    crdtgraph("store", "backup", "whole")
    data = Path("whole").read_bytes()
    Path("half").write_bytes(data[: len(data) // 2])
    Path("empty").write_bytes(b"")
    Path("other").write_text("something else entirely")
    Path("damaged").write_bytes(data[:-5] + bytes([data[-5] ^ 1]) + data[-4:])
    for name, text in (("half", "a part"), ("empty", "a part"), ("other", "no backup"), ("damaged", "damaged")):
        assert_fails(crdtgraph("store", "restore", name, "--store", "new.db"), 5, text)
        assert not Path("new.db").exists()
    assert crdtgraph("store", "restore", "gone", "--store", "new.db").code == 2


def test_a_backup_that_comes_through_a_pipe_is_refused_with_a_remedy(crdtgraph: CommandLine, store: str) -> None:
    reading, writing = os.pipe()
    try:
        outcome = crdtgraph("store", "restore", f"/dev/fd/{reading}", "--store", "new.db")
    finally:
        os.close(reading)
        os.close(writing)
    assert_fails(outcome, 2, "is a stream", "write it to a file")
    assert not Path("new.db").exists()


def test_no_backup_or_export_replaces_a_store(crdtgraph: CommandLine, store: str) -> None:
    crdtgraph("init", "--store", FILE)
    crdtgraph("commit", "--store", FILE, "-m", "kept", "--set", "a=b", "--ref", "main")
    before = digest(crdtgraph, FILE), digest(crdtgraph, store)
    os.symlink("search.sqlite", "link")
    for place in (FILE, store):
        for name in ("search.sqlite", "link", "search.sqlite.lock", f"{store}/CURRENT"):
            for line in (("store", "backup", name), ("export", "jsonl", name), ("export", "dot", name)):
                assert_fails(crdtgraph(*line, "--store", place, "--force"), 2, "belongs to the store")
    assert_fails(crdtgraph("store", "backup", store, "--force"), 2, "is a folder")
    assert_fails(crdtgraph("store", "backup", ""), 2, "no name of a file")
    assert before == (digest(crdtgraph, FILE), digest(crdtgraph, store))
    # A lock of somebody else makes no store.
    Path("notes").write_text("mine")
    Path("notes.lock").write_text("lockfileVersion: 9")
    assert crdtgraph("store", "backup", "notes", "--force").code == 0


def test_a_backup_that_is_reported_has_its_name_on_the_disk(
    crdtgraph: CommandLine, store: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[tuple[int, int]] = []

    def fsync(descriptor: int) -> None:
        found = os.fstat(descriptor)
        synced.append((found.st_dev, found.st_ino))

    monkeypatch.setattr(os, "fsync", fsync)
    os.mkdir("folder")
    for line in (("store", "backup", "folder/a"), ("export", "jsonl", "folder/b")):
        synced.clear()
        assert crdtgraph(*line).code == 0
        for name in (line[-1], "folder"):
            found = os.stat(name)
            assert (found.st_dev, found.st_ino) in synced, name


def test_a_backup_and_a_restore_on_a_full_disk_leave_nothing(crdtgraph: CommandLine, tmp_path: Path) -> None:
    with library.open(str(tmp_path / "big.db")) as graph:
        for _ in range(8):
            graph.commit(message="noise", changes={"noise": os.urandom(100_000)}, ref="main")
    crdtgraph("store", "backup", "big.backup", "--store", "big.db")
    code = (
        "import resource, signal, sys; signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "from cli.main import run; import crdtgraph.store.rocksdb, crdtgraph.store.sqlite, crdtgraph.backup\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (400_000, resource.RLIM_INFINITY)); sys.exit(run(sys.argv[1:]))"
    )
    before = sorted(os.listdir())
    for line in (
        ["store", "backup", "other.backup", "--store", "big.db"],
        ["store", "restore", "big.backup", "--store", "new.db"],
        ["store", "restore", "big.backup", "--store", "sqlite:new.sqlite"],
        ["store", "migrate", "big.db", "sqlite:new.sqlite"],
    ):
        environment = {**os.environ, "PYTHONPATH": str(ROOT)}
        done = subprocess.run(
            [sys.executable, "-c", code, *line], capture_output=True, text=True, env=environment, check=False
        )
        assert done.returncode not in (0, 70), (line, done.stderr)
        assert "Traceback" not in done.stderr
        assert "hint: " in done.stderr
        assert line[2] in done.stderr or "new." in done.stderr
        assert sorted(os.listdir()) == before, line
    assert resource.getrlimit(resource.RLIMIT_FSIZE)[0] != 400_000


# Migrations


def test_a_migration_switches_the_contexts_and_a_rollback_switches_them_back(
    crdtgraph: CommandLine, store: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    crdtgraph("context", "add", "lab", "--store", store, "--use")
    crdtgraph("context", "add", "node", "--node", f"{store}/control")
    crdtgraph("context", "add", "other", "--store", "other.db")
    before = digest(crdtgraph, store)
    moved = crdtgraph("store", "migrate", "lab", FILE)
    assert moved.code == 0, moved
    assert "now in use by lab, node" in moved.out
    assert "CRDTGRAPH_STORE still names it" in moved.out
    monkeypatch.delenv("CRDTGRAPH_STORE")

    def places() -> dict[str, str]:
        listed = crdtgraph("context", "ls", "-o", "json").json
        assert isinstance(listed, list)
        return {each["name"]: each["place"] for each in listed}

    new = tmp_path / "search.sqlite"
    assert places() == {"lab": f"sqlite:{new}", "node": f"{new}.control", "other": str(tmp_path / "other.db")}
    assert crdtgraph("digest").out.split()[0] == before
    assert crdtgraph("commit", "-m", "since", "--parent", "main", "--ref", "main").code == 0
    after = crdtgraph("digest").out.split()[0]
    back = crdtgraph("store", "migrate", "lab", "--rollback")
    assert back.code == 0, back
    old = f"rocksdb:{tmp_path / store}"
    assert places()["lab"] == old
    assert places()["node"] == f"{tmp_path / store}/control"
    assert crdtgraph("digest").out.split()[0] == after != before
    assert_fails(crdtgraph("store", "migrate", "lab", "--rollback"), 2, "no context that was migrated")


def test_a_rollback_that_discards_reads_nothing(crdtgraph: CommandLine, store: str) -> None:
    crdtgraph("context", "add", "lab", "--store", store)
    before = digest(crdtgraph, store)
    crdtgraph("store", "migrate", "lab", FILE)
    Path("search.sqlite").write_text("damaged beyond reading")
    assert_fails(crdtgraph("store", "migrate", "lab", "--rollback"), 5, "damaged")
    assert crdtgraph("store", "migrate", "lab", "--rollback", "--discard").code == 0
    assert crdtgraph("digest", "--context", "lab", "-o", "csv").code == 0
    assert digest(crdtgraph, store) == before


def test_a_rollback_carries_over_first_what_was_said_to_the_old_store(crdtgraph: CommandLine, store: str) -> None:
    assert crdtgraph("store", "migrate", store, FILE).code == 0
    for each in (store, FILE):
        assert crdtgraph("commit", "--store", each, "-m", "more").code == 0
    refused = crdtgraph("store", "migrate", store, FILE, "--rollback")
    assert_fails(refused, 2, "lacks")
    (_, remedy) = refused.err.split("carry that over first: crdtgraph ")
    assert crdtgraph(*remedy.split()).code == 0
    both = digest(crdtgraph, FILE)
    assert crdtgraph("store", "migrate", store, FILE, "--rollback").code == 0
    assert digest(crdtgraph, store) == both


def test_a_migration_whose_contexts_cannot_be_written_goes_on_when_they_can(
    crdtgraph: CommandLine, store: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    crdtgraph("context", "add", "lab", "--store", store)

    def replace(_from: object, _to: object) -> None:
        raise PermissionError(1, "not permitted")

    with monkeypatch.context() as patching:
        patching.setattr("cli.contexts.os.replace", replace)
        assert_fails(crdtgraph("store", "migrate", "lab", FILE), 2, "contexts.toml can't be written", "same command")
    done = crdtgraph("store", "migrate", "lab", FILE)
    assert done.code == 0, done
    assert "an equal copy is there already" in done.out
    assert "now in use by lab" in done.out


def test_a_rollback_that_discards_goes_back_to_a_store_that_is_there(
    crdtgraph: CommandLine, store: str, start: Starter
) -> None:
    crdtgraph("context", "add", "lab", "--store", store)
    crdtgraph("store", "migrate", "lab", FILE)
    os.rename(store, "elsewhere")
    assert_fails(crdtgraph("store", "migrate", "lab", "--rollback", "--discard"), 3, "no store")
    assert crdtgraph("digest", "--context", "lab").code == 0
    os.rename("elsewhere", store)
    process = start("serve", "--store", store)
    process.wait_for("ready")
    assert_fails(crdtgraph("store", "migrate", "lab", "--rollback", "--discard"), 5, "stop that process")
    process.end(signal.SIGTERM)
    assert crdtgraph("store", "migrate", "lab", "--rollback", "--discard").code == 0


def test_a_migration_names_its_stores_itself(crdtgraph: CommandLine, store: str) -> None:
    for option in ("--store", "--node", "--context"):
        outcome = crdtgraph("store", "migrate", store, FILE, option, "other")
        assert_fails(outcome, 2, "no such option")
    assert not Path("search.sqlite").exists()


def test_migrations_that_cannot_be(crdtgraph: CommandLine, store: str, start: Starter) -> None:
    crdtgraph("init", "--store", "sqlite:taken.sqlite")
    crdtgraph("context", "add", "node", "--node", f"{store}/control")
    for line, code, text in (
        ([store, "sqlite:taken.sqlite"], 2, "not empty"),
        ([store, store], 2, "same place"),
        ([store, f"sqlite:{store}"], 2, "same place"),
        ([store, "memory:"], 2, "no disk"),
        (["memory:x", FILE], 2, "no disk"),
        (["gone.db", FILE], 3, "no store"),
        ([store, "mysql:x"], 2, "unknown kind"),
        ([store], 2, "FROM and TO"),
        ([store, FILE, "--discard"], 2, "--rollback"),
        (["node", FILE], 2, "names a node"),
        ([store, "--rollback"], 2, "no context"),
    ):
        assert_fails(crdtgraph("store", "migrate", *line), code, text)
    process = start("serve", "--store", store)
    process.wait_for("ready")
    assert_fails(crdtgraph("store", "migrate", store, FILE), 5, "stop that process")
    process.end(signal.SIGTERM)
    assert not Path("search.sqlite").exists()


def test_a_damaged_file_of_contexts_stops_a_migration_before_it_copies(
    crdtgraph: CommandLine, store: str, tmp_path: Path
) -> None:
    folder = tmp_path / "config-of-nobody"
    folder.mkdir()
    (folder / "contexts.toml").write_text("nonsense [")
    assert_fails(crdtgraph("store", "migrate", store, FILE), 2, "contexts.toml is damaged")
    assert not Path("search.sqlite").exists()
