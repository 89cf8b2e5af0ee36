"""The history that the benchmarks work on: a recorded one of 37,924 commits, or one generated in the same shape.

A row is: original id, ids of the parents in order, author, time in seconds; parents come first. The recorded rows lie
beside the checkout, in a folder `shared`; without it, rows with the same number of commits and about the same share of
merges (one in five) and branch lengths are made from a fixed seed.
"""

from __future__ import annotations

import hashlib
import random
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import zstandard

from crdtgraph import Commit, CommitId

SHARED = Path(__file__).resolve().parents[2] / "shared" / "data"
COMMITS = 37_924
AUTHORS = 700


@dataclass(frozen=True, slots=True)
class Row:
    """One commit of the history."""

    original: str
    parents: tuple[str, ...]
    author: str
    seconds: int


@dataclass(frozen=True, slots=True)
class History:
    """Rows, parents first, and where they come from ("recorded" or "generated")."""

    rows: tuple[Row, ...]
    source: str

    def commits(self) -> list[Commit]:
        """The rows as commits with the originals as message, as an import of `build_git`'s repository makes them."""
        ids: dict[str, CommitId] = {}
        commits = []
        for row in self.rows:
            author = f"{row.author} <{row.author}@example.invalid>"
            parents = tuple([ids[parent] for parent in row.parents])
            commit = Commit(parents, author, row.seconds * 1_000_000, row.original, (), f"git:{row.original}")
            ids[row.original] = commit.id
            commits.append(commit)
        return commits


def load(*, quick: bool) -> History:
    """The recorded history if it is there, else a generated one; only its first 2,000 commits when `quick`."""
    path = SHARED / "ipython.dag.tsv.zst"
    rows = tuple(_recorded(path)) if path.exists() else tuple(_generated(COMMITS))
    return History(rows[:2_000] if quick else rows, "recorded" if path.exists() else "generated")


def build_git(history: History, path: Path) -> None:
    """Make a bare git repository of it: empty trees, the original id as message, a ref for every head."""
    subprocess.run(["git", "init", "--quiet", "--bare", str(path)], check=True)
    stream = "".join(_fast_import(history.rows)).encode()
    subprocess.run(["git", "-C", str(path), "fast-import", "--quiet", "--force"], input=stream, check=True)
    subprocess.run(["git", "-C", str(path), "repack", "-adq"], check=True)
    subprocess.run(["git", "-C", str(path), "config", "uploadpack.allowFilter", "true"], check=True)


def _recorded(path: Path) -> Iterator[Row]:
    with path.open("rb") as file:
        text = zstandard.ZstdDecompressor().stream_reader(file).read().decode()
    for line in text.splitlines():
        original, parents, author, seconds = line.split("\t")
        yield Row(original, tuple(parents.split()), author, int(seconds))


def _generated(count: int) -> Iterator[Row]:
    draw = random.Random(20_240_501)
    heads: list[str] = []
    seconds = 1_100_000_000
    for number in range(count):
        original = hashlib.sha1(b"%d" % number, usedforsecurity=False).hexdigest()
        seconds += draw.randrange(1, 20_000)
        if not heads:
            parents: tuple[str, ...] = ()
        elif len(heads) > 2 and draw.random() < 0.2:
            other = heads.pop(draw.randrange(1, len(heads)))
            parents = (heads[0], other)
        else:
            parents = (heads[0 if draw.random() < 0.4 else draw.randrange(len(heads))],)
        if parents and draw.random() < 0.28 and len(heads) < 60:
            heads.append(original)
        elif parents:
            heads[heads.index(parents[0])] = original
        else:
            heads.append(original)
        yield Row(original, parents, f"a{int(AUTHORS * draw.random() ** 3)}", seconds)


def _fast_import(rows: tuple[Row, ...]) -> Iterator[str]:
    marks = {row.original: number for number, row in enumerate(rows, 1)}
    has_children = {parent for row in rows for parent in row.parents}
    heads = 0
    for row in rows:
        ref = "refs/heads/build"
        if row.original not in has_children:
            ref, heads = f"refs/heads/head-{heads}", heads + 1
        if not row.parents:
            yield f"reset {ref}\n"
        stamp = f"{row.author} <{row.author}@example.invalid> {row.seconds} +0000"
        yield f"commit {ref}\nmark :{marks[row.original]}\nauthor {stamp}\ncommitter {stamp}\n"
        yield f"data {len(row.original)}\n{row.original}\n"
        for place, parent in enumerate(row.parents):
            yield f"{'merge' if place else 'from'} :{marks[parent]}\n"
        yield "\n"
    yield "reset refs/heads/build\nfrom 0000000000000000000000000000000000000000\n\n"
