"""`crdtgraph branch ls`: branches, and how far each is from main."""

from __future__ import annotations

import click

from cli.context import Access, Invocation, Output, complete_ref, examples, graph_options

COLUMNS = ("name", "target", "targets", "conflicted", "ahead", "behind", "author", "time", "title")


@click.command(
    "ls",
    epilog=examples("crdtgraph branch ls", "crdtgraph branch ls agents/ -o csv"),
)
@click.argument("prefix", default="", metavar="[PREFIX]", shell_complete=complete_ref)
@click.option(
    "--into", default="main", metavar="REF", shell_complete=complete_ref, help="What to compare with (default: main)."
)
@graph_options
@click.pass_obj
def command(invocation: Invocation, prefix: str, into: str) -> None:
    """List the branches whose names begin with PREFIX: all refs but the one they are compared with.

    AHEAD is how many commits a branch has that main does not have; with none it is merged. BEHIND is how many only
    main has. Author, time and message are of its last commit.
    """
    from cli.answers import ids_of, list_of, of, table_of
    from cli.output import print_documents
    from cli.render import moment, one_line, paint, print_lines, printable, table
    from cli.views import short

    with invocation.open(Access.READ) as backend:
        found = [table_of(each) for each in list_of(backend.call("branches", prefix=prefix, into=into))]
    documents: list[dict[str, object]] = []
    rows = [["BRANCH", "AT", "AHEAD", "BEHIND", "AUTHOR", "TIME", "MESSAGE"]]
    for each in found:
        targets = ids_of(each["targets"])
        name, author, title = (of(str, each[key]) for key in ("name", "author", "title"))
        ahead, behind, time = (of(int, each[key]) for key in ("ahead", "behind", "time"))
        documents.append(
            {
                "name": name,
                "target": targets[0],
                "targets": targets,
                "conflicted": len(targets) > 1,
                "ahead": ahead,
                "behind": behind,
                "author": author,
                "time": time,
                "title": title,
            }
        )
        others = ", ".join(short(target) for target in targets[1:])
        mark = paint(f"conflict, also at {others}  ", "conflict") if others else ""
        place = [printable(name), paint(short(targets[0]), "id"), str(ahead), str(behind)]
        rows.append([*place, one_line(author)[:20], moment(time)[:16], mark + one_line(title)])
    if invocation.output is not Output.TEXT:
        print_documents(invocation.output, documents, COLUMNS)
    elif documents:
        print_lines(table(rows))
