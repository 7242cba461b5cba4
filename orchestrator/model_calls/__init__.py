"""Model calls, from the question of an agent to the answer: reserve, send, retry, settle."""
