"""`crdtgraph mcts run`: search for the best line of a problem."""

from __future__ import annotations

import click

from cli.context import Invocation, Output, examples, graph_options
from cli.mcts.budgets import BudgetType, TypedBudget

WORKERS_MAX = 64


@click.command(
    "run",
    epilog=examples(
        "crdtgraph mcts run nim.py:Nim --budget 10000",
        "crdtgraph mcts run nim.py:Nim --budget 5000,2s,stable:1000 --rule puct --c 1.5 --promote-to best",
        "crdtgraph mcts run nim.py:Nim --budget 1000 --workers 2 --store memory: -o json",
    ),
)
@click.argument("problem", metavar="PROBLEM")
@click.option(
    "--budget",
    type=BudgetType(),
    required=True,
    metavar="BUDGET",
    help="10000 (iterations), 30s, stable:500, or several.",
)
@click.option(
    "--workers",
    type=click.IntRange(0, WORKERS_MAX),
    default=0,
    metavar="N",
    help="Processes that evaluate leaves; 0 (the default) is this process alone, the same for the same seed.",
)
@click.option("--search", "name", metavar="NAME", help="The name of the search (default: PROBLEM).")
@click.option("--seed", type=int, default=0, metavar="N", help="Of all that is random (default: 0).")
@click.option("--rule", type=click.Choice(["uct", "puct"]), default="uct", help="How to select (default: uct).")
@click.option("--c", "constant", type=float, metavar="C", help="The rule's constant of exploration.")
@click.option(
    "--promote-to", "ref", metavar="REF", help="Keep the best line in the ledger, and point this ref at its end."
)
@click.option("--force", is_flag=True, help="Point the ref there also if it is elsewhere.")
@click.option("--resume", metavar="REV", help="Go on from what an earlier search promoted.")
@click.option("--listen", multiple=True, metavar="HOST:PORT", help="Let others search along; port 0 takes any.")
@click.option("--peer", "peers", multiple=True, metavar="HOST:PORT", help="Search along with this node.")
@click.option("--close", is_flag=True, help="Close the search at the end, for everybody; its name is used up then.")
@graph_options
@click.pass_obj
def command(
    invocation: Invocation,
    problem: str,
    budget: TypedBudget,
    workers: int,
    name: str | None,
    seed: int,
    rule: str,
    constant: float | None,
    ref: str | None,
    force: bool,
    resume: str | None,
    listen: tuple[str, ...],
    peers: tuple[str, ...],
    close: bool,
) -> None:
    """Search for the best line of PROBLEM until the budget is spent: the first limit that is met ends it.

    PROBLEM is MODULE:OBJECT, PATH/FILE.py:OBJECT, or openspiel:GAME. It is code, and it is run. The object is a
    problem, or its class, or a function that makes one: see crdtgraph.mcts.Problem. Values are those of who chose.

    The search runs as a node on the store (--store memory: for none): processes that are its peers and search under
    the same name grow the same tree, and crdtgraph mcts tree looks in. With --node it is a peer of that node. Ctrl-C
    ends the search well: what was found until then is printed, and kept if --promote-to says so.
    """
    from cli.failures import StoppedError
    from cli.mcts.places import place_of
    from cli.mcts.problems import load_problem
    from cli.mcts.report import found_document, found_lines
    from cli.mcts.runs import Order, run_search
    from cli.output import print_document
    from cli.render import print_lines
    from crdtgraph.mcts import PUCT, UCT, Rule
    from crdtgraph.records import check_name

    if ref is not None:
        check_name(ref, "ref")
    place = place_of(invocation, peers)
    made = load_problem(problem)
    chosen: Rule
    if rule == "puct":
        chosen = PUCT() if constant is None else PUCT(constant)
    else:
        chosen = UCT() if constant is None else UCT(constant)
    order = Order(
        spec=problem,
        problem=made,
        budget=budget,
        name=_search_name(name, problem, resume),
        url=place.url,
        cluster=place.cluster,
        listen=listen,
        peers=place.peers,
        seed=seed,
        rule=chosen,
        workers=workers,
        resume=resume,
        ref=ref,
        force=force,
        close=close,
    )
    found = run_search(order)
    if invocation.output is not Output.TEXT:
        print_document(invocation.output, found_document(found))
    else:
        print_lines(found_lines(found, ref))
    if found.failure is not None:
        raise found.failure
    if found.code:
        raise StoppedError(f"stopped after {found.iterations:,} iterations", found.code)


def _search_name(given: str | None, problem: str, resume: str | None) -> str:
    """The name of the search, that of the problem if none is given; a LocalError says what is wrong with it."""
    from crdtgraph import LocalError
    from crdtgraph.searches.searching import check_search_name

    if given is not None:
        return check_search_name(given)
    try:
        return check_search_name(problem if resume is None else f"{problem} from {resume}")
    except LocalError as error:
        raise LocalError(error.message, hint="name the search with --search NAME, by default it is PROBLEM") from None
