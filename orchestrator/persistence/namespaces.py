"""Namespaces of the store, by name. This module imports nothing: commands that only look must not load LangGraph."""

ROOT = "orchestrator"
THREADS = (ROOT, "threads")
"""The namespace of the list of threads."""

JOURNAL = "journal"
BODIES = "journal_bodies"
"""The kinds of the namespaces with the records of a thread's journal, and with the long texts in them."""

PAST_SPEND = (ROOT, "past_spend")
"""The namespace of the tokens of earlier sub-tasks, over all threads."""


def namespace(thread_id: str, *kind: str) -> tuple[str, ...]:
    """Return the namespace of a thread's items of one kind."""
    # A store's labels must be neither empty nor hold dots: SQLite and Postgres join them with dots.
    return (ROOT, *kind, thread_id.replace("%", "%25").replace(".", "%2E") or "-")


def thread_of(namespace: tuple[str, ...]) -> str:
    """Return the thread whose items a namespace has."""
    return namespace[-1].replace("%2E", ".").replace("%25", "%")
