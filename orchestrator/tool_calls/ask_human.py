"""ask_human: a tool by which a worker asks a human a question."""

from langchain_core.tools import tool
from langgraph.types import interrupt


@tool
def ask_human(question: str) -> str:
    """Asks a human what only a human can know, and gives the answer. Ask once, in one clear sentence.

    Args:
        question: The question.
    """
    return str(interrupt({"question": question}))


# The question is not one of a document or a page, so the answer of a human is trusted.
ask_human.metadata = {"risk": "read", "effect": "none", "trust": "trusted"}
