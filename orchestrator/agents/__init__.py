"""Agents: the supervisor that plans and answers, the workers that execute sub-tasks, and their team."""
