"""Chat models, and the protocol of their endpoints."""
