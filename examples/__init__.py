"""Programs that show what crdtgraph does."""
