"""The `crdtgraph` program: finds the command, runs it, ends with its exit code.

A shell waits for every start, so nothing is imported before it is needed: the table below names every command
with its line of help, and only the command that runs is loaded. `--help` thus loads none.

Exit codes: 0 fine or equal, 1 differs, 2 wrong usage, 3 not found or ambiguous, 4 unreachable, 5 corrupt or a
failing store; and those of every program: 70 a bug, 130 interrupted, 141 the reader of the output went away.
"""

from __future__ import annotations

import gc
import os
import sys
from io import TextIOWrapper
from typing import NoReturn

import click

from cli.context import Invocation, graph_options
from cli.tables import CommandTable, Table

GARBAGE_THRESHOLD = 10_000
COMPLETE_VARIABLE = "_CRDTGRAPH_COMPLETE"
"""Set by the scripts of `crdtgraph completion`: a shell asks how a line may go on."""

COMMANDS: Table = {
    "init": ("init", "Create an empty store."),
    "import": ("importing", "Import a git repository, or what `export` wrote."),
    "export": ("export", "Write the graph in a format of other programs."),
    "verify": ("verify", "Compare a replica with an export of one."),
    "commit": ("commit", "Add a commit."),
    "show": ("show", "Show a commit."),
    "log": ("log", "List commits, newest first."),
    "refs": ("refs", "List refs and their conflicts."),
    "state": ("state", "List the paths at a commit, or print one."),
    "diff": ("diff", "Show what changed between two states."),
    "merge-base": ("merge_base", "Find the best common ancestors of two commits."),
    "history": ("history", "Show every value that a ref or a metadata key ever had."),
    "ops": ("ops", "List what every writer said, newest first."),
    "merge": ("merge", "Merge the targets of a conflicted ref."),
    "merge-policy": ("merge_policy", "Choose how merges treat paths that both sides changed."),
    "branch": ("branch", "List, merge and remove the branches that writers work on."),
    "mcts": ("mcts", "Search trees by Monte Carlo, with any number of writers."),
    "serve": ("serve", "Run a node in the foreground."),
    "status": ("status", "Show how a store or a running node is doing."),
    "peers": ("peers", "List the peers of a running node."),
    "topology": ("topology", "Show who is linked to whom in the cluster."),
    "top": ("top", "Watch the cluster, live."),
    "metrics": ("metrics", "Show how long things take in a running node."),
    "block": ("block", "Cut a running node off from a peer."),
    "unblock": ("unblock", "Let a running node talk to a peer again."),
    "forget": ("forget", "Forget a member that will not come back."),
    "digest": ("digest", "Print the digest; equal digests are equal graphs."),
    "diverge": ("diverge", "Show how replicas differ."),
    "episodes": ("episodes", "List the split brains that a replica has lived through."),
    "converge": ("converge", "Make replicas equal."),
    "doctor": ("doctor", "Look for what goes wrong in practice, with a remedy for each."),
    "context": ("context", "Name stores and nodes, and choose one."),
    "store": ("store", "Back up, restore, migrate and measure stores."),
    "completion": ("completion", "Print what makes a shell complete commands, options and names."),
    "searches": ("searches", "List the searches that are open, or close one."),
    "object": ("object", "List large values, and remove those that nothing names."),
    "fsck": ("fsck", "Check everything in a store from its bytes."),
    "simulate": ("simulate", "Simulate whole clusters, with faults, from a seed."),
}
"""Name -> module in `cli.commands` (its `command` is it) and the line of help."""

EPILOG = """\b
Examples:
  $ crdtgraph init --store search.db
  $ crdtgraph import git . --store search.db
  $ crdtgraph log -n 10 --store search.db
  $ CRDTGRAPH_STORE=search.db crdtgraph status -o json

\b
Exit codes: 0 fine or equal, 1 differs, 2 usage, 3 not found or ambiguous,
4 unreachable, 5 corrupt or a failing store."""


def _print_version(ctx: click.Context, _option: click.Parameter, wanted: bool) -> None:
    if wanted:
        from importlib.metadata import PackageNotFoundError, version

        try:
            number = version("crdtgraph")
        except PackageNotFoundError:
            number = "(a source tree that is not installed)"
        click.echo(f"crdtgraph {number}")
        ctx.exit()


@click.command(
    cls=CommandTable,
    package="cli.commands",
    table=COMMANDS,
    epilog=EPILOG,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    no_args_is_help=True,
)
@click.option(
    "--version",
    is_flag=True,
    expose_value=False,
    is_eager=True,
    callback=_print_version,
    help="Print the version and exit.",
)
@graph_options
def program() -> None:
    """A replicated commit graph: many writers, no coordinator, divergence you can see.

    REV, wherever it is asked for, is a ref, a unique prefix of a commit id, git:OID for an imported commit, or another
    revset: main-, main..side, 'heads(::main & author("w3"))'. See docs/revsets.md.
    """


def run(arguments: list[str]) -> int:
    """Run one command line and return its exit code; errors are printed, never raised."""
    try:
        # Not `program.main`, which has exit codes of its own.
        with program.make_context("crdtgraph", list(arguments), obj=Invocation()) as context:
            program.invoke(context)
        sys.stdout.flush()
    except BaseException as failure:  # noqa: BLE001 (whatever it is, it ends in an exit code)
        # Imported only here: a command line that works does not pay for it.
        from cli.failures import report

        return report(failure)
    return 0


def main() -> NoReturn:
    """The console script."""
    # A graph is many objects and no cycles: looking for these after every 700 would be a quarter of a long listing.
    gc.set_threshold(GARBAGE_THRESHOLD)
    for stream, errors in ((sys.stdin, "replace"), (sys.stdout, "backslashreplace")):
        # A name that the terminal's encoding lacks is no reason to fail.
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors=errors)
    if os.environ.get(COMPLETE_VARIABLE):
        from cli.completing import answer

        sys.exit(answer(program, os.environ[COMPLETE_VARIABLE]))
    sys.exit(run(sys.argv[1:]))
