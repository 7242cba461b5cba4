"""Notes on tool calls: effects that happen once, and facts for the thread's journal."""
