"""Which commits of a git history are new, in which order they are made, and where the refs go.

A second run must not walk what the first one brought. A visible commit has all its ancestors (causal
closure), so a known commit ends the walk; and as asking costs a round trip when the graph lives in another
process, the walk runs ahead of the answers by a window of commits. Commits are then made parents first, in
batches, each durable before the next one starts: whatever stops an import, the next run goes on behind the
last whole batch.

Refs follow git without ever losing what was done here. A ref that only git moved is fast-forwarded, one that
only this graph moved stays; where git rewrote its branch the ref follows, as long as nothing was added here;
and where both went on, git's target is assigned *beside* ours, so that the ref is in conflict and somebody
can merge it. A branch that git deleted stays: absence is no statement.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import islice
from typing import Protocol

from crdtgraph.errors import LocalError
from crdtgraph.gitbridge.changes import changes_of
from crdtgraph.gitbridge.history import GitHistory, GitHistoryError, GitOid, GitRef, GitRefs
from crdtgraph.gitbridge.restoring import ExportedHistory, LedgerReport, LedgerTarget
from crdtgraph.ids import CommitId
from crdtgraph.records import PARENTS_MAX, Commit

ORIGIN_PREFIX = "git:"
BATCH_COMMITS = 1_000
"""Commits made and flushed at once, and the least that an interrupted import keeps."""
BATCH_CONTENT_BYTES = 4 << 20
"""Of changed contents: with one more commit a batch stays below the frames of a control socket."""
WINDOW_COMMITS = 1_000
"""How far the walk runs ahead of what is known to be new."""
CHECKED_COMMITS = 16
"""Known commits that are compared to see that the first import recorded the same things."""

Progress = Callable[[int, int], None]
"""Called with the commits made so far and the commits to make in all; between batches, so it may raise to
stop."""


@dataclass(frozen=True, slots=True)
class RefMove:
    """Point a ref at a commit, superseding every other target or, with `keep_others`, beside them."""

    name: str
    target: CommitId
    keep_others: bool


class ImportTarget(LedgerTarget, Protocol):
    """What an import needs of a graph, be it in this process or behind a node's control socket."""

    def known_commits(self, commits: Sequence[CommitId]) -> Collection[CommitId]:
        """Those of `commits` that are visible."""
        ...

    def known_origins(self, origins: Sequence[str]) -> Mapping[str, CommitId]:
        """Those of `origins` that a visible commit has, each with that commit (of several, the smallest)."""
        ...

    def origins_of(self, commits: Sequence[CommitId]) -> Sequence[str]:
        """The origin of each visible commit, "" for one that was made here."""
        ...

    def commit_many(self, commits: Sequence[Commit]) -> Sequence[CommitId]:
        """Make commits, parents first; what is already there is not made again."""
        ...

    def ref_targets(self) -> Mapping[str, tuple[CommitId, ...]]:
        """Every ref with its targets, the winner first; more than one target is a conflict."""
        ...

    def is_ancestor(self, ancestor: CommitId, descendant: CommitId) -> bool:
        """Whether `descendant` reaches `ancestor`, itself included."""
        ...

    def set_refs(self, moves: Sequence[RefMove]) -> None:
        """Point refs at commits. Durable after the next `flush`."""
        ...

    def flush(self) -> None:
        """Return once everything made so far is durable."""
        ...


class RefAction(StrEnum):
    """What an import did to a ref."""

    CREATED = "created"
    FORWARDED = "forwarded"
    UNCHANGED = "unchanged"
    AHEAD = "ahead"
    """Ours contains git's: it stays."""
    REPLACED = "replaced"
    """Git rewrote the branch, and ours was the import of its former state."""
    CONFLICTED = "conflicted"
    """Both went on: the ref now has both targets."""


@dataclass(frozen=True, slots=True)
class RefOutcome:
    """What became of one branch ("main") or tag ("tags/v1"); `target` is where git's points."""

    name: str
    target: CommitId
    action: RefAction


@dataclass(frozen=True, slots=True)
class ImportReport:
    """What an import did: commits made, every ref's outcome by name, and git refs that lead to no commit.

    Of a repository that `export_git` made also what became of its `ledger`, and the git commits that were `altered`
    since.
    """

    commits_added: int
    refs: tuple[RefOutcome, ...]
    skipped: tuple[str, ...]
    ledger: LedgerReport | None = None
    altered: tuple[GitOid, ...] = ()


def import_git(
    repository: str | os.PathLike[str],
    target: ImportTarget,
    *,
    trees: bool = False,
    progress: Progress | None = None,
) -> ImportReport:
    """Import a git repository's history into a graph; run it again to bring what is new since.

    Args:
        repository: a bare repository, a working copy or a folder in one.
        target: the graph to import into.
        trees: record for each commit the paths it changed (see changes.py); by default only the history.
        progress: called between batches with commits made and commits to make.

    Returns what was done. Commits carry the origin "git:<40 hex digits>"; those of a repository that `export_git` made
    are the ones that were exported, and its ledger is received first.

    Raises NotFoundError if there is no repository, GitHistoryError or GitObjectError (both LocalError) if it
    is shallow, grafted, empty, damaged or incomplete, and LocalError if the graph holds commits of this
    repository that were imported with another setting of `trees`. What was imported until then stays and is
    durable. RemoteError if the repository is an export that was tampered with.

    Cost: O(new commits), about 20 us each without trees.
    """
    history = GitHistory.open(repository)
    refs = history.refs()
    exported = ExportedHistory(history)
    ledger = exported.receive_ledger(target)
    walk = _Walk.of_new_commits(history, exported, refs, target)
    _check_known_alike(history, exported, walk, target, trees=trees)
    ids = dict(walk.known)
    total = len(walk.parents_of)
    done = 0
    for batch in _batches(history, exported, walk, refs, ids, trees=trees):
        if progress is not None:
            progress(done, total)
        target.commit_many(batch)
        target.flush()
        done += len(batch)
    if progress is not None:
        progress(done, total)
    outcomes = _set_refs(target, exported.refs(refs.named, ids), ids)
    target.flush()
    return ImportReport(done, outcomes, refs.skipped, ledger, tuple(exported.altered))


@dataclass(frozen=True, slots=True)
class _Walk:
    """`parents_of` every new commit, and the ids of the `known` ones that the walk ended at."""

    parents_of: dict[GitOid, tuple[GitOid, ...]]
    known: dict[GitOid, CommitId]

    @classmethod
    def of_new_commits(
        cls, history: GitHistory, exported: ExportedHistory, refs: GitRefs, target: ImportTarget
    ) -> _Walk:
        walk = cls({}, {})
        # The tips are asked for by themselves: mostly nothing is new, and then that is all there is to do.
        frontier = list(refs.tips)
        seen = set(frontier)
        window_commits = 0
        while frontier:
            parents_of = _look_ahead(history, frontier, seen, window_commits)
            walk.known.update(_known(exported, target, list(parents_of)))
            frontier = []
            for oid, parents in parents_of.items():
                if oid not in walk.known:
                    # The last commits of a window were not expanded; a known one need not be.
                    parents = parents if parents is not None else _checked_parents(history, oid)
                    walk.parents_of[oid] = parents
                    frontier.extend(parent for parent in parents if parent not in seen)
                    seen.update(parents)
            window_commits = WINDOW_COMMITS
        return walk

    def parents_first(self, tips: Sequence[GitOid]) -> Iterator[GitOid]:
        """The new commits in an order that depends on the history and the order of `tips` alone."""
        done: set[GitOid] = set()
        stack = list(reversed(tips))
        while stack:
            oid = stack[-1]
            if oid in done or oid not in self.parents_of:
                stack.pop()
                continue
            waiting = [each for each in self.parents_of[oid] if each in self.parents_of and each not in done]
            if waiting:
                stack.extend(reversed(waiting))
            else:
                stack.pop()
                done.add(oid)
                yield oid


def _look_ahead(
    history: GitHistory, frontier: Sequence[GitOid], seen: set[GitOid], commits_max: int
) -> dict[GitOid, tuple[GitOid, ...] | None]:
    """The frontier and what lies behind it, breadth first, with its parents; None where not yet expanded."""
    found: dict[GitOid, tuple[GitOid, ...] | None] = dict.fromkeys(frontier)
    queue = list(frontier)
    for oid in queue:
        if len(found) >= commits_max:
            break
        found[oid] = parents = _checked_parents(history, oid)
        for parent in parents:
            if parent not in seen:
                seen.add(parent)
                found[parent] = None
                queue.append(parent)
    return found


def _checked_parents(history: GitHistory, oid: GitOid) -> tuple[GitOid, ...]:
    parents = history.parents(oid)
    if len(parents) > PARENTS_MAX:
        raise GitHistoryError(
            f"commit {oid.hex()} in {history.path} has {len(parents)} parents",
            hint=f"at most {PARENTS_MAX} are possible; this repository cannot be imported",
        )
    return parents


def _known(exported: ExportedHistory, target: ImportTarget, oids: Sequence[GitOid]) -> dict[GitOid, CommitId]:
    known: dict[GitOid, CommitId] = {}
    for start in range(0, len(oids), WINDOW_COMMITS):
        asked = oids[start : start + WINDOW_COMMITS]
        ours = {oid: found.id for oid in asked if (found := exported.commit(oid)) is not None}
        if ours:
            visible = target.known_commits(list(ours.values()))
            known.update((oid, commit) for oid, commit in ours.items() if commit in visible)
        origins = {oid: ORIGIN_PREFIX + oid.hex() for oid in asked if oid not in ours}
        if origins:
            answer = target.known_origins(list(origins.values()))
            known.update((oid, answer[origin]) for oid, origin in origins.items() if origin in answer)
    return known


def _check_known_alike(
    history: GitHistory, exported: ExportedHistory, walk: _Walk, target: ImportTarget, *, trees: bool
) -> None:
    """Refuse to build on commits that were imported with the other setting of `trees`.

    The id of a commit covers its changes, so a history with them and one without never meet: going on would
    silently leave the older half as it is. The newest known commits are rebuilt and compared.
    """
    checked = [oid for oid in islice(walk.known, CHECKED_COMMITS) if exported.commit(oid) is None]
    parents = list(dict.fromkeys(parent for oid in checked for parent in history.parents(oid)))
    ids = {**_known(exported, target, [each for each in parents if each not in walk.known]), **walk.known}
    for oid in checked:
        draft = _draft(history, oid, history.parents(oid), ids, trees=trees)
        if draft.id != walk.known[oid]:
            raise LocalError(
                f"the graph holds git commit {oid.hex()} with other contents than this import would give it",
                hint=f"it was imported {'without' if trees else 'with'} --trees: make the same choice again, "
                "or import into a new store",
            )


def _batches(
    history: GitHistory,
    exported: ExportedHistory,
    walk: _Walk,
    refs: GitRefs,
    ids: dict[GitOid, CommitId],
    *,
    trees: bool,
) -> Iterator[list[Commit]]:
    """The new commits in batches, parents first; adds the id of each to `ids`."""
    batch: list[Commit] = []
    content_bytes = 0
    for oid in walk.parents_first(refs.tips):
        draft = exported.draft(oid, ids) or _draft(history, oid, walk.parents_of[oid], ids, trees=trees)
        ids[oid] = draft.id
        batch.append(draft)
        content_bytes += sum(len(value) for _, value in draft.changes if isinstance(value, bytes))
        if len(batch) >= BATCH_COMMITS or content_bytes >= BATCH_CONTENT_BYTES:
            yield batch
            batch, content_bytes = [], 0
    if batch:
        yield batch


def _draft(
    history: GitHistory,
    oid: GitOid,
    parents: Sequence[GitOid],
    ids: Mapping[GitOid, CommitId],
    *,
    trees: bool,
) -> Commit:
    author, time, message = history.texts(oid)
    return Commit(
        parents=tuple([ids[parent] for parent in parents]),
        author=author,
        time=time,
        message=message,
        changes=changes_of(history, oid) if trees else (),
        origin=ORIGIN_PREFIX + oid.hex(),
    )


def _set_refs(target: ImportTarget, wanted: Sequence[GitRef], ids: Mapping[GitOid, CommitId]) -> tuple[RefOutcome, ...]:
    before = target.ref_targets()
    outcomes = []
    for ref in wanted:
        commit = ids[ref.oid]
        outcomes.append(RefOutcome(ref.name, commit, _decide(target, before.get(ref.name, ()), commit)))
    moves = [
        RefMove(outcome.name, outcome.target, keep_others=outcome.action is RefAction.CONFLICTED)
        for outcome in outcomes
        if outcome.action not in (RefAction.UNCHANGED, RefAction.AHEAD)
    ]
    for start in range(0, len(moves), BATCH_COMMITS):
        target.set_refs(moves[start : start + BATCH_COMMITS])
    return tuple(outcomes)


def _decide(target: ImportTarget, ours: tuple[CommitId, ...], gits: CommitId) -> RefAction:
    """What to do with a ref whose targets here are `ours` and which git points at `gits`."""
    if not ours:
        return RefAction.CREATED
    if gits in ours:
        return RefAction.UNCHANGED
    if any(target.is_ancestor(gits, each) for each in ours):
        return RefAction.AHEAD
    diverged = [each for each in ours if not target.is_ancestor(each, gits)]
    if not diverged:
        return RefAction.FORWARDED
    if all(target.origins_of(diverged)):
        return RefAction.REPLACED
    return RefAction.CONFLICTED
