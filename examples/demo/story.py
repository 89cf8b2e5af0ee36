"""The story: import, replicate, split, write on both sides, look, heal, merge, crash."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from crdtgraph import LocalError
from examples.demo.claims import Claims
from examples.demo.nodes import AGREE_TIMEOUT_S, Cluster, NodeProcess, run_cli, run_cli_json, wait_until
from sync.client.blocking import BlockingControlClient

REF = "demo/main"
COMMITS_A_SIDE = 150
COMMITS_BESIDE = 50


def tell(cluster: Cluster, claims: Claims, repository: Path) -> None:
    """Run all steps; raises ClaimError at the first claim that does not hold."""
    a, b, c = cluster.nodes
    expected = _commits_in_git(repository)

    claims.step("Three nodes start, each with a store of its own")
    for node in cluster.nodes:
        node.start()
    wait_until("every node has two connections", lambda: all(map(_has_two_peers, cluster.nodes)), AGREE_TIMEOUT_S)
    claims.hold("three processes, connected to each other over TCP", True)

    claims.step(f"Node a imports the git history of {repository.resolve().name or repository.resolve()}")
    began = time.monotonic()
    claims.show(run_cli("--node", a.control, "import", "git", repository))
    imported = a.commits()
    claims.hold(f"all {expected} commits are in node a", imported == expected, imported)
    cluster.wait_until_equal("b and c catch up")
    claims.hold(f"b and c caught up: one digest, {time.monotonic() - began:.2f} s after the import began", True)
    counts = [node.commits() for node in cluster.nodes]
    claims.hold(f"each of them has {expected} commits", set(counts) == {expected}, counts)
    fork = _start_ref(a, expected)
    cluster.wait_until_equal(f"{REF} arrives")

    claims.step("The network is cut in two: a and b on one side, c on the other")
    cut = [(a, c), (c, a), (b, c), (c, b)]
    for node, peer in cut:
        node.call("block", peer=peer.replica())
    open_now = [len(_open_peers(node)) for node in cluster.nodes]
    claims.hold("a and b see each other, c sees nobody", open_now == [1, 1, 0], open_now)

    claims.step(f"Writers go on, on both sides, and both move {REF}")
    with ThreadPoolExecutor(3) as pool:
        work = [
            pool.submit(_write, a, "a", REF, COMMITS_A_SIDE),
            pool.submit(_write, b, "b", "demo/beside", COMMITS_BESIDE),
            pool.submit(_write, c, "c", REF, COMMITS_A_SIDE),
        ]
        tips = [each.result() for each in work]
    wait_until("a and b agree", lambda: a.digest() == b.digest(), AGREE_TIMEOUT_S)
    claims.hold("a and b stay equal among themselves", a.commits() == expected + 1 + COMMITS_A_SIDE + COMMITS_BESIDE)
    claims.hold("c has gone another way", a.digest() != c.digest())

    claims.step("Where do they differ? crdtgraph diverge")
    claims.show(run_cli("diverge", "--max-count", "3", "a.sock", "c.sock", folder=cluster.folder, expect=1))
    found = run_cli_json("diverge", a.control, c.control, expect=1)
    both = (found["ahead"][0][1], found["ahead"][1][0])
    claims.hold(
        f"a has {both[0]} commits that c lacks, c has {both[1]} that a lacks",
        both == (COMMITS_A_SIDE + COMMITS_BESIDE, COMMITS_A_SIDE),
        both,
    )
    claims.hold(f"they forked at {fork.hex()[:12]}", found["fork_points"] == [fork.hex()], found["fork_points"])
    states = {each["name"]: each["state"] for each in found["refs"]}
    claims.hold(f"{REF} will be in conflict", states.get(REF) == "conflicted", states)
    paths = {each["path"]: each["clean"] for each in found["paths"]}
    claims.hold("plan.txt was changed on both sides, and not alike", paths == {"plan.txt": False}, paths)

    claims.step("The network heals")
    began = time.monotonic()
    for node, peer in cut:
        node.call("unblock", peer=peer.replica())
    digest = cluster.wait_until_equal("all three agree again")
    claims.hold(f"one digest on all three, {time.monotonic() - began:.2f} s later: {digest.hex()[:16]}", True)
    total = expected + 1 + 2 * COMMITS_A_SIDE + COMMITS_BESIDE
    counts = [node.commits() for node in cluster.nodes]
    claims.hold(f"nothing was lost: {total} commits on each", set(counts) == {total}, counts)
    run_cli("diverge", a.control, c.control)
    claims.hold("crdtgraph diverge: equal", True)

    claims.step(f"{REF} is in conflict, and that is data")
    targets = [_targets(node) for node in cluster.nodes]
    heads = {tips[0], tips[2]}
    claims.hold("every node lists both heads, in one order", targets[0] == targets[1] == targets[2], targets)
    claims.hold("they are the two writers' last commits", set(targets[0]) == heads, targets[0])
    claims.show(run_cli("--node", b.control, "refs"))
    merges = [run_cli_json("--node", node.control, "merge", REF) for node in (a, c)]
    ids = {each["commit"] for each in merges}
    claims.hold("merged on a and on c: both made the same commit", len(ids) == 1, ids)
    apart = [each["path"] for each in merges[0]["conflicts"]]
    claims.hold("the merge reports the path in conflict", apart == ["plan.txt"], apart)
    digest = cluster.wait_until_equal("the merge arrives everywhere")
    targets = [_targets(node) for node in cluster.nodes]
    claims.hold(f"{REF} has one target on all three", all(len(each) == 1 for each in targets), targets)

    claims.step("Node b is killed with SIGKILL and starts again, without its peers")
    before = b.commits()
    b.kill()
    b.start(alone=True)
    claims.hold(f"it still has its {before} commits", b.commits() == before, b.commits())
    claims.hold("and the same digest, from its own disk alone", b.digest() == digest, b.digest().hex())
    b.stop()
    b.start()
    _write(b, "b", "demo/beside", 1)
    cluster.wait_until_equal("b takes part again")
    claims.hold("back among its peers, it writes and they follow", a.commits() == before + 1, a.commits())

    claims.step("Everything stops and is checked again from the bytes")
    codes = [node.stop() for node in cluster.nodes]
    claims.hold("SIGTERM ends every node with exit code 0", codes == [0, 0, 0], codes)
    for node in cluster.nodes:
        run_cli("--store", node.store, "fsck")
    claims.hold("fsck: signatures, ids and a projection from scratch are right in all three stores", True)


def _commits_in_git(repository: Path) -> int:
    git = ["git", "-C", str(repository)]
    # HEAD may be detached from every branch, or name a branch that is not born yet.
    head = subprocess.run([*git, "rev-parse", "--quiet", "--verify", "HEAD"], capture_output=True, check=False)
    revisions = ["--all", "HEAD"] if head.returncode == 0 else ["--all"]
    done = subprocess.run([*git, "rev-list", "--count", *revisions], capture_output=True, text=True, check=False)
    if done.returncode:
        raise LocalError(
            f"{repository} is no git repository with commits: {done.stderr.strip()}",
            hint="name another: make demo REPO=/path/to/a/git/repository",
        )
    return int(done.stdout)


def _start_ref(node: NodeProcess, commits: int) -> bytes:
    """Begin the ref that both sides will move, on top of the newest head."""
    parents = [node.call("log", limit=1)[0][0]["id"]] if commits else []
    changes = {"plan.txt": b"agreed by all\n"}
    created: bytes = node.call("commit", message="agree on a plan", parents=parents, changes=changes, ref=REF)
    return created


def _write(node: NodeProcess, writer: str, ref: str, commits: int) -> bytes:
    """Commit on a ref again and again through one node; the last commit."""
    last = b""
    with BlockingControlClient(node.control) as client:
        call: Callable[..., Any] = client.call
        parents = None if any(each["name"] == ref for each in call("refs")) else [REF]
        for number in range(commits):
            changes = {f"notes/{writer}.txt": b"step %d\n" % number}
            if ref == REF:
                changes["plan.txt"] = b"step %d, says %s\n" % (number, writer.encode())
            message = f"{writer} takes step {number}"
            last = call("commit", message=message, parents=parents, changes=changes, ref=ref, author=writer)
            parents = None
    return last


def _targets(node: NodeProcess) -> list[bytes]:
    return next(list(each["targets"]) for each in node.call("refs") if each["name"] == REF)


def _open_peers(node: NodeProcess) -> list[str]:
    return [each["replica"] for each in node.call("peers") if each["state"] == "open"]


def _has_two_peers(node: NodeProcess) -> bool:
    return len(_open_peers(node)) == 2
