"""The shared memory: results that agents keep for one another."""
