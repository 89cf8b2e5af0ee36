"""`python -m cli` is `crdtgraph`."""

from cli.main import main

main()
