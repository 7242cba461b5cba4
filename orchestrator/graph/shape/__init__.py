"""The shape of the graph, apart from the work of its nodes."""
