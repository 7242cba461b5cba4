"""Plans as data: sub-tasks, outcomes, revisions."""
