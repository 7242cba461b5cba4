"""Reviews: questions to a human, and the decisions that answer them."""
