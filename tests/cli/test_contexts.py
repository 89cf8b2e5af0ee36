"""Contexts: names for stores and nodes, in a file that is never lost or half written; and completion in real shells."""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from cli import contexts

from .conftest import ROOT, CommandLine


def test_a_context_is_used_from_anywhere_until_it_is_removed(
    crdtgraph: CommandLine, store: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    assert crdtgraph("context", "add", "lab", "--store", store, "--use").code == 0
    monkeypatch.delenv("CRDTGRAPH_STORE")
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    expected = crdtgraph("digest", "--store", tmp_path / store).out
    assert crdtgraph("digest").out == crdtgraph("digest", "--context", "lab").out == expected
    assert crdtgraph("context", "ls", "-o", "json").json == [
        {"name": "lab", "kind": "store", "place": str(tmp_path / store), "in_use": True, "state": "store", "backup": ""}
    ]
    assert stat.S_IMODE(contexts.path().stat().st_mode) == 0o600
    assert crdtgraph("context", "rm", "lab").code == 0
    assert crdtgraph("digest").code == 2
    assert crdtgraph("digest", "--context", "lab").code == 3


def test_the_command_line_goes_before_the_environment_and_that_before_the_context(
    crdtgraph: CommandLine, store: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    crdtgraph("init", "--store", "other.db")
    crdtgraph("context", "add", "lab", "--store", "other.db", "--use")
    assert crdtgraph("status", "-o", "json").json["graph"]["commits"] == 3
    assert crdtgraph("status", "--context", "lab", "-o", "json").json["graph"]["commits"] == 0
    monkeypatch.setenv("CRDTGRAPH_CONTEXT", "lab")
    assert crdtgraph("status").code == 2
    monkeypatch.delenv("CRDTGRAPH_STORE")
    assert crdtgraph("status", "-o", "json").json["graph"]["commits"] == 0
    assert crdtgraph("status", "--context", "lab", "--store", store).code == 2


def test_replicas_are_compared_by_name_and_a_path_goes_before_a_name(crdtgraph: CommandLine, store: str) -> None:
    shutil.copytree(store, "copy.db")
    crdtgraph("context", "add", "lab", "--store", "copy.db")
    crdtgraph("init", "--store", "other.db")
    assert crdtgraph("diverge", "lab", "other.db").code == 1
    crdtgraph("init", "--store", "lab")
    assert crdtgraph("diverge", "lab", "other.db").code == 0


@pytest.mark.parametrize("name", ["", "a/b", "-x", ".x", "rocksdb:x", "a b", "x" * 65, "é"])
def test_a_name_that_looks_like_a_path_or_an_option_is_refused(crdtgraph: CommandLine, store: str, name: str) -> None:
    assert crdtgraph("context", "add", "--store", store, "--", name).code == 2
    assert not contexts.path().exists()


def test_a_name_is_not_taken_over_by_accident(crdtgraph: CommandLine, store: str) -> None:
    crdtgraph("context", "add", "lab", "--store", store)
    assert crdtgraph("context", "add", "lab", "--store", "other.db").code == 2
    assert contexts.load().named["lab"].place.endswith(store)
    assert crdtgraph("context", "add", "lab", "--store", "other.db", "--force").code == 0


@pytest.mark.parametrize("damage", ["current = [\n", "[contexts.x]\nstore = 1\n", "contexts = 3\n", "\udcff"])
def test_a_damaged_file_is_an_error_and_is_not_written_over(crdtgraph: CommandLine, store: str, damage: str) -> None:
    contexts.path().parent.mkdir()
    contexts.path().write_bytes(os.fsencode(damage))
    outcome = crdtgraph("context", "add", "lab", "--store", store)
    assert outcome.code == 2
    assert "contexts.toml is damaged" in outcome.err
    assert contexts.path().read_bytes() == os.fsencode(damage)


def test_names_added_at_the_same_time_all_survive() -> None:
    def add(number: int) -> None:
        with contexts.changing() as found:
            found.named[f"n{number}"] = contexts.Context("store", f"/s/{number}")

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(add, range(40)))
    assert len(contexts.load().named) == 40


# Completion

ASK = {
    "bash": "source ./script; COMP_WORDS=({words}); COMP_CWORD={last}; _crdtgraph_completion crdtgraph; "
    'printf "%s\\n" "${{COMPREPLY[@]}}"',
    "fish": 'source ./script; complete -C "{line}"',
    "zsh": "compdef() {{ }}; compadd() {{ print -l -- ${{(P)@[-1]}} }}; _describe() {{ print -l -- ${{(P)3}} }}; "
    "source ./script; words=({words}); CURRENT=$(( {last} + 1 )); _crdtgraph_completion",
}


@pytest.mark.parametrize("shell", ASK)
@pytest.mark.parametrize(
    "words, expected",
    [(["stat"], "status"), (["context", "u"], "use"), (["show", "si"], "side"), (["digest", "--context", "la"], "lab")],
)
def test_a_real_shell_completes(
    crdtgraph: CommandLine, store: str, tmp_path: Path, shell: str, words: list[str], expected: str
) -> None:
    if shutil.which(shell) is None:
        pytest.skip(f"{shell} is not installed")
    crdtgraph("context", "add", "lab", "--store", store)
    Path("script").write_text(crdtgraph("completion", shell).out)
    program = tmp_path / "bin" / "crdtgraph"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nPYTHONPATH={ROOT} exec {sys.executable} -m cli "$@"\n')
    program.chmod(0o755)
    line = ["crdtgraph", *words]
    asked = ASK[shell].format(words=" ".join(line), last=len(words), line=" ".join(line))
    environment = {**os.environ, "PATH": f"{program.parent}:{os.environ['PATH']}"}
    done = subprocess.run([shell, "-c", asked], env=environment, capture_output=True, text=True)
    assert expected in done.stdout
    assert done.stderr == ""


def test_completion_says_nothing_when_there_is_no_graph_or_the_names_are_damaged(
    crdtgraph: CommandLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    crdtgraph("init", "--store", "a.db")
    contexts.path().parent.mkdir()
    contexts.path().write_text("[")
    for line in ("crdtgraph show x", "crdtgraph log --context x", "crdtgraph show --store nowhere x"):
        environment = {**os.environ, "_CRDTGRAPH_COMPLETE": "bash_complete", "COMP_WORDS": line, "COMP_CWORD": "3"}
        done = subprocess.run(
            [sys.executable, "-m", "cli"], env={**environment, "PYTHONPATH": str(ROOT)}, capture_output=True, text=True
        )
        assert (done.stdout.strip(), done.stderr) == ("", "")
