"""The nodes of the graph. None imports another."""
