"""Between the wish to ask a model and its answer: reserve, send, retry, settle."""
