"""The journal: what happened on a thread, each fact once and in order."""
