"""Pauses of tools: a tool that calls LangGraph's `interrupt()` asks a human a question.

LangGraph matches answers to the interrupts of a node by their order, and this node asks reviews of its own. So each
call of a tool gets a scratchpad of its own, with the answers that humans have given to this call so far. The tool then
runs from its beginning, as LangGraph has it, and its earlier interrupts return at once.
"""

import dataclasses
from typing import Any

from langchain_core.runnables import RunnableConfig
from langgraph.errors import GraphInterrupt
from langgraph.types import Interrupt

# LangGraph 1.2 keeps them under these keys of the config; there is no public way to ask.
SCRATCHPAD_KEY = "__pregel_scratchpad"
_SEND_KEY = "__pregel_send"


class Answers:
    """The answers of humans to the interrupts of one tool call, in order."""

    def __init__(self) -> None:
        self._answers: list[Any] = []
        self._calls = 0

    def __len__(self) -> int:
        return len(self._answers)

    def add(self, answer: Any) -> None:
        """Keep the answer to the next interrupt."""
        self._answers.append(answer)

    def config(self, config: RunnableConfig) -> RunnableConfig:
        """Return the config for running the tool, with these answers for its interrupts."""
        configurable = config.get("configurable", {})
        scratchpad = configurable.get(SCRATCHPAD_KEY)
        if scratchpad is None:
            return config
        self._calls = 0
        own = dataclasses.replace(
            scratchpad,
            resume=list(self._answers),
            interrupt_counter=self._count,
            get_null_resume=lambda consume=False: None,
        )
        # `interrupt()` also saves the answers that it returns among the writes of the node. There they would be taken
        # for answers to the node's own reviews.
        return {**config, "configurable": {**configurable, SCRATCHPAD_KEY: own, _SEND_KEY: lambda writes: None}}

    def _count(self) -> int:
        self._calls += 1
        return self._calls - 1

    def question_in(self, pause: GraphInterrupt) -> Interrupt | None:
        """Return the interrupt that the tool itself called; None for one of a graph that the tool ran."""
        interrupts: tuple[Interrupt, ...] = pause.args[0] if pause.args else ()
        is_own = self._calls == len(self._answers) + 1
        return interrupts[0] if is_own and len(interrupts) == 1 else None
