"""The graph in formats that other programs read, and the one of them that is read back.

| file | concern |
| --- | --- |
| `rows.py` | what one line of JSON says |
| `writing.py` `reading.py` | a whole replica as JSON lines, without loss, and back with everything verified |
| `dot.py` `graphml.py` | for Graphviz, and for Gephi, networkx and others |
| `labels.py` | what a commit looks like in either |

docs/interchange.md is the format, exact enough to write another reader.
"""

from crdtgraph.interchange.dot import dot_lines
from crdtgraph.interchange.graphml import graphml_lines
from crdtgraph.interchange.reading import LINE_BYTES_MAX, RemoteLinesError, read_lines
from crdtgraph.interchange.writing import FORMAT, VERSION, export_lines

__all__ = [
    "FORMAT",
    "LINE_BYTES_MAX",
    "VERSION",
    "RemoteLinesError",
    "dot_lines",
    "export_lines",
    "graphml_lines",
    "read_lines",
]
