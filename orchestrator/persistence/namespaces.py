"""Namespaces of the store."""

ROOT = "orchestrator"


def namespace(thread_id: str, *kind: str) -> tuple[str, ...]:
    """A thread's place in the store. A store's labels must not hold dots."""
    return (ROOT, *kind, thread_id.replace("%", "%25").replace(".", "%2E") or "-")
