"""What crdtgraph reaches, measured side by side with the peer or the floor in one run: `python -m benchmarks NAME`."""
