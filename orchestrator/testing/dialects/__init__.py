"""Dialects: how OpenAI-compatible servers refuse requests and answer them, as data for `OpenAIServer`."""
