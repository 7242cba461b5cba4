"""Graphs and functions of a user's, as workers."""

import asyncio
from typing import Any

from langchain_core.messages import AIMessage
from langgraph.graph import START, MessagesState, StateGraph

from orchestrator import Worker


def guest(thing: Any, **options: Any) -> Worker:
    """Return a worker of a user's thing, which only reads."""
    return Worker.of(thing, **{"name": "guest", "description": "does things", "risk": "read", **options})


def last_line(text: str) -> str:
    """Shouts."""
    return text.splitlines()[-1].upper()


async def last_line_later(text: str) -> str:
    await asyncio.sleep(0)
    return last_line(text)


def message_graph() -> Any:
    """Return a graph whose state has messages."""

    def answer(state: MessagesState) -> Any:
        return {"messages": [AIMessage(last_line(str(state["messages"][-1].content)))]}

    return StateGraph(MessagesState).add_node("answer", answer).add_edge(START, "answer").compile(name="guest")
