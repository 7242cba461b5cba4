"""The LangGraph state graph: its state, nodes, edges and rounds."""
