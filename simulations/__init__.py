"""Seeded simulations of whole clusters. Nothing is here yet.

The plan is to run the very same `sync.Node` over simulated streams, clock and disk, so that a partition, a
crash or a slow link found under one seed can be replayed from that seed. Until the runner exists this package
only keeps its place in the layers: it may import `crdtgraph` and `sync`, and neither of them may import it.
"""
