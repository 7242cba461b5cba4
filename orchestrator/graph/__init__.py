"""The LangGraph state graph: its state, nodes, edges and rounds, and the supervisor's decisions."""
