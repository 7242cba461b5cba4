"""What is on disk: checkpoints, store, leases, workspaces."""
