"""What the commands of `crdtgraph mcts` share."""
