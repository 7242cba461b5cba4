"""Chat models, and how their endpoints are spoken to."""
