"""The supervisor's decisions between rounds: accepting plans, revising them, and ending."""
