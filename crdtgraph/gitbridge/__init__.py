"""Real git history, imported into a commit graph.

`import_git` copies every commit that a ref or HEAD of a git repository reaches, with its parents in order,
and points the graph's refs where git's branches and tags point. What a commit becomes depends on the commit
alone, so two replicas that import the same repository make the same commits and their union holds each once.

| file | concern |
| --- | --- |
| `importer.py` | what to import, in which order, and where refs go |
| `history.py` | commits and refs of a repository, through libgit2 |
| `changes.py` | what a commit changed, within the limits of a record |
| `target.py` | a `Graph` in this process as the place to import into |
| `texts.py` | git's bytes as text: messages and path names |

What is kept: parents, the author's name, address and time, the message, and on request the changed paths.
What is not: the committer, time zones, signatures, notes, reflogs and the index.
"""

from crdtgraph.gitbridge.history import GitHistoryError, GitObjectError
from crdtgraph.gitbridge.importer import (
    ImportReport,
    ImportTarget,
    RefAction,
    RefMove,
    RefOutcome,
    import_git,
)
from crdtgraph.gitbridge.target import GraphTarget

__all__ = [
    "GitHistoryError",
    "GitObjectError",
    "GraphTarget",
    "ImportReport",
    "ImportTarget",
    "RefAction",
    "RefMove",
    "RefOutcome",
    "import_git",
]
