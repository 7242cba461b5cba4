"""The agents: the supervisor that plans and answers, the workers that execute sub-tasks, and the team they form."""
