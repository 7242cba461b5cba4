"""Budgets: limits of a run, the ledger that keeps to them, and prices."""
