"""Durable data: checkpoints, store, leases and workspaces."""
