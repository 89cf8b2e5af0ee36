"""The report page of a run: one file of HTML with the numbers, the picture and how to run it again.

It needs no network and no script, reads as well on dark paper as on light, and is the same to the byte for the same
run.

| module | for |
| --- | --- |
| `document` | the page: numbers, tables, and the templates beside it |
| `picture` | where everything in the picture is |
| `lanes` `strips` `charts` | its parts: machines; events and heals; heads and commits of each side |
| `colours` `sides` | who agrees with whom when; who can talk to whom when |
| `events` `packing` `paper` | an event in words; labels that do not meet; the time axis and numbers |
"""

from simulations.page.document import page

__all__ = ["page"]
