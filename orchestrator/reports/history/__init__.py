"""What happened on a thread, put together from its journal."""
