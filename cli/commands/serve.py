"""`crdtgraph serve`: a node in the foreground."""

from __future__ import annotations

from typing import Any

import click

from cli.context import Invocation, NumberRange, examples, graph_options


@click.command(
    "serve",
    epilog=examples(
        "crdtgraph serve --store search.db --listen 127.0.0.1:7400",
        "crdtgraph serve --store other.db --listen 127.0.0.1:7401 --peer 127.0.0.1:7400",
        "crdtgraph serve --store search.db --metrics-port 9464",
        "crdtgraph serve --store search.db --search-expiry 0.5",
        "crdtgraph serve --store search.db --control-listen 127.0.0.1:7500",
    ),
)
@click.option("--listen", multiple=True, metavar="HOST:PORT", help="Accept peers here; port 0 takes any.")
@click.option("--peer", "peers", multiple=True, metavar="HOST:PORT", help="Keep a connection to this node.")
@click.option(
    "--control", metavar="PATH", help="The control socket (default: `control` in the store's folder, FILE.control)."
)
@click.option(
    "--control-listen", metavar="HOST:PORT", help="Let workers connect here over TCP, on loopback; port 0 takes any."
)
@click.option(
    "--problem",
    "problems",
    multiple=True,
    metavar="PROBLEM",
    help="Let workers search trees of it (as for `mcts run`); its code runs here.",
)
@click.option("--cluster", metavar="NAME", help="The cluster of a new store (default: default).")
@click.option("--name", default="", metavar="NAME", help="What to call this node in logs and lists.")
@click.option(
    "--metrics-port",
    type=click.IntRange(0, 65_535),
    metavar="PORT",
    help="Let Prometheus ask here, on loopback; 0 takes any.",
)
@click.option(
    "--search-expiry",
    "search_expiry_days",
    type=NumberRange(min=0, min_open=True),
    metavar="DAYS",
    help="Close searches in which nothing was written for so long (default: 7).",
)
@click.option(
    "--search-janitor",
    "search_janitor_s",
    type=NumberRange(min=0, min_open=True),
    metavar="SECONDS",
    help="Between two looks for searches that have expired (default: 60).",
)
@click.option(
    "--search-batch",
    "search_janitor_batch",
    type=click.IntRange(min=1),
    metavar="COUNT",
    help="So many expired searches are closed at one look at most (default: 16).",
)
@click.option(
    "--log",
    "log_format",
    type=click.Choice(["console", "json"]),
    default="console",
    help="How to write the log, to standard error (default: console).",
)
@graph_options
@click.pass_obj
def command(
    invocation: Invocation,
    listen: tuple[str, ...],
    peers: tuple[str, ...],
    control: str | None,
    control_listen: str | None,
    problems: tuple[str, ...],
    cluster: str | None,
    name: str,
    metrics_port: int | None,
    search_expiry_days: float | None,
    search_janitor_s: float | None,
    search_janitor_batch: int | None,
    log_format: str,
) -> None:
    """Run a node on a store until SIGTERM or Ctrl-C; the store is created if it is not there.

    Nothing authenticates peers yet, so a node listens on the loopback interface only.
    """
    url = invocation.required_store()
    from dataclasses import replace

    import trio

    from crdtgraph.store.naming import control_path
    from sync.daemon import LogFormat, process_log, serve
    from sync.protocol.limits import DEFAULTS

    chosen: dict[str, Any] = {
        "search_expiry_s": None if search_expiry_days is None else search_expiry_days * 86_400,
        "search_janitor_s": search_janitor_s,
        "search_janitor_batch": search_janitor_batch,
    }

    loaded = []
    if problems:
        from cli.mcts.problems import load_problem

        loaded = [load_problem(each) for each in problems]

    async def run() -> None:
        await serve(
            url,
            listen=listen,
            peers=peers,
            control=control if control is not None else control_path(url),
            control_listen=control_listen,
            problems=loaded,
            cluster=cluster,
            name=name,
            metrics_port=metrics_port,
            settings=replace(DEFAULTS, **{name: value for name, value in chosen.items() if value is not None}),
            log=process_log(LogFormat(log_format)),
        )

    trio.run(run)
