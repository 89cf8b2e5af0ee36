"""`python -m examples.demo [--repo PATH]`: run the demonstration; exit code 0 only if every claim was checked.

With `--nodes FOLDER` it starts the demonstration's three nodes and leaves the story to you.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path

from rich.console import Console

from crdtgraph import CrdtGraphError
from examples.demo.claims import ClaimError, Claims
from examples.demo.nodes import Cluster
from examples.demo.playground import play
from examples.demo.story import tell


def main() -> int:
    """Run it in a temporary folder that is gone at the end, whatever happens."""
    parser = argparse.ArgumentParser(prog="python -m examples.demo", description=__doc__)
    parser.add_argument("--repo", metavar="PATH", help="the git repository to import (default: this one)")
    parser.add_argument(
        "--nodes",
        metavar="FOLDER",
        help="only start the nodes, in this folder; nothing is imported unless --repo says so",
    )
    options = parser.parse_args()
    console = Console(highlight=False)
    if options.nodes is not None:
        return play(console, Path(options.nodes), options.repo)
    claims = Claims(console)
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="crdtgraph-demo-") as folder:
        cluster = Cluster(Path(folder))
        try:
            tell(cluster, claims, Path(options.repo or "."))
        except (ClaimError, CrdtGraphError) as failure:
            console.print(f"[bold red]failed:[/] {failure}", markup=True)
            if hint := getattr(failure, "hint", ""):
                console.print(f"  {hint}", markup=False)
            console.print(cluster.log_tails(), markup=False)
            return 1
        except KeyboardInterrupt:
            console.print("interrupted")
            return 130
        finally:
            cluster.stop_all()
    left = cluster.running()
    if left or Path(folder).exists():
        console.print(f"[bold red]failed:[/] left behind: {left or folder}")
        return 1
    seconds = time.monotonic() - began
    console.print(f"\n[bold green]All {claims.checked} claims hold.[/] {seconds:.1f} s, nothing left behind.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
