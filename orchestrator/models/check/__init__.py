"""A check of a model: what works, in which form, and what its endpoint refuses."""
