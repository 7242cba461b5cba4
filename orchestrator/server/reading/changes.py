"""Changes: finding out that something in a database is new, without reading it."""

import time

from orchestrator.persistence.sqlite.store import Store
from orchestrator.runs.client import OrchestratorClient

_BLIND_S = 2.0


def state_of(client: OrchestratorClient) -> tuple[object, ...]:
    """Return what is another one after anything was written to the database, by any process.

    Args:
        client: Has the database open.
    """
    store = client.persistence.store
    if not isinstance(store, Store):
        return (int(time.monotonic() / _BLIND_S),)  # another store cannot tell, and is looked at again and again
    # SQLite tells a connection of the writes of others; its own it counts.
    return (store.foreign_changes(), store.conn.total_changes)
