"""`crdtgraph export git`: the graph as a git repository."""

from __future__ import annotations

import click

from cli.context import Access, Invocation, Output, examples, reading_options


@click.command(
    "git",
    epilog=examples("crdtgraph export git graph.git", "crdtgraph export git past.git --at 2099-01-01 -o json"),
)
@click.argument("repository", metavar="DIR")
@reading_options
@click.pass_obj
def command(invocation: Invocation, repository: str) -> None:
    """Write the graph to the bare git repository DIR, which is made if it is not there.

    Every commit becomes a git commit with the same parents, author, time and message, and its state as the tree; refs
    become branches, tags/NAME a tag. Run it again to add what is new. `import git` brings everything back as it was,
    together with what was committed in git since; docs/interchange.md says how.
    """
    from cli.copies import graph_in_process, view_of
    from cli.progress import progress_bar
    from crdtgraph.gitbridge import export_git

    with invocation.open(Access.READ) as backend, graph_in_process(backend) as graph:
        view = view_of(backend)
        reader = graph if view is None else view
        with progress_bar("exporting commits") as show:
            report = export_git(graph, repository, reader=view, progress=show)
        digest = reader.digest()
        document: dict[str, object] = {
            "repository": repository,
            "format": "git",
            "commits": len(reader),
            "commits_written": report.commits_written,
            "commits_known": report.commits_known,
            "refs_changed": report.refs_changed,
            "objects_written": report.objects_written,
            "digest": digest,
        }
    if invocation.output is not Output.TEXT:
        from cli.output import print_document

        print_document(invocation.output, document)
        return
    from cli.render import print_lines, printable

    print_lines(
        [
            f"exported {report.commits_written} commits to {printable(repository)}, "
            f"which has {document['commits']}; {report.refs_changed} refs changed",
            f"digest {digest.hex()}",
        ]
    )
