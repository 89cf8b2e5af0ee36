"""Revsets: a small language for sets of commits, shared by all commands (docs/revsets.md).

In the manner of jj's (https://jj-vcs.github.io/jj/latest/revsets/) and Mercurial's. A text is split into words
(`tokens`), read into a tree (`parser`, `syntax`), checked (`calls`), and worked out as late as possible over the index
(`evaluation`, `functions`, `sets`).
"""

from crdtgraph.revsets.errors import RevsetError
from crdtgraph.revsets.parser import NESTING_MAX, parse
from crdtgraph.revsets.selection import Selection, evaluate, evaluate_steps, is_name, resolve_one
from crdtgraph.revsets.syntax import Expression
from crdtgraph.revsets.tokens import TEXT_CHARACTERS_MAX
from crdtgraph.steps import Stepwise, run

__all__ = [
    "NESTING_MAX",
    "TEXT_CHARACTERS_MAX",
    "Expression",
    "RevsetError",
    "Selection",
    "Stepwise",
    "evaluate",
    "evaluate_steps",
    "is_name",
    "parse",
    "resolve_one",
    "run",
]
