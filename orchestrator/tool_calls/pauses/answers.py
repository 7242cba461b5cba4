"""Answers to the interrupts of one tool call: those that the tool calls itself, and those of graphs that the tool runs.

LangGraph matches answers to the interrupts of a node by their order, and this node asks reviews of its own. So each
call of a tool gets a scratchpad of its own, with the answers that humans have given to this call so far. The tool then
runs from its beginning, as LangGraph has it, and its earlier interrupts return at once.

- A graph whose steps are saved goes on from where it was. LangGraph gives its interrupts the same ids each time.
- A graph without checkpoints (`checkpointer=False`) runs from its start, and its interrupts have new ids each time. So
  each is named by its place in the graph and its order.
"""

import dataclasses
import itertools
from collections.abc import Sequence
from typing import Any, Literal

from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.base import BaseCheckpointSaver
from langgraph.config import get_config
from langgraph.errors import GraphInterrupt
from langgraph.types import Interrupt

from orchestrator.concurrency import Bridge

# LangGraph 1.2 keeps them under these keys of the config; there is no public way to ask.
SCRATCHPAD_KEY = "__pregel_scratchpad"
_SEND_KEY = "__pregel_send"
_RESUME_MAP_KEY = "__pregel_resume_map"
_RESUMING_KEY = "__pregel_resuming"
_CHECKPOINTER_KEY = "__pregel_checkpointer"


@dataclasses.dataclass(frozen=True)
class Question:
    """An interrupt of one call.

    Args:
        interrupt: LangGraph's.
        asker: `tool`; `saved` for a graph that goes on from where it was; `unsaved` for one that runs from its start.
        place: Name of the interrupt among those of the call, the same each time; empty for one of the tool itself.
        number: Number of answers that the same place has had before.
    """

    interrupt: Interrupt
    asker: Literal["tool", "saved", "unsaved"]
    place: str
    number: int


@dataclasses.dataclass(frozen=True)
class _Asked:
    """The node of a graph that has called `interrupt()` without an answer."""

    place: str
    number: int
    configurable: dict[str, Any]


class Answers:
    """The answers of humans to the interrupts of one tool call."""

    def __init__(self) -> None:
        self._answers: list[Any] = []
        self._by_id: dict[str, Any] = {}
        self._by_place: dict[str, list[Any]] = {}
        self._calls = 0
        self._base = ""
        self._asked: dict[str, _Asked] = {}
        self._used: dict[str, int] = {}
        self._is_again = False

    def give(self, question: Question, answer: Any) -> None:
        """Keep the answer to a question."""
        if question.asker == "tool":
            self._answers.append(answer)
        elif question.asker == "saved":
            self._by_id[question.interrupt.id] = answer
        else:
            self._by_place.setdefault(question.place, []).append(answer)

    def config(self, config: RunnableConfig) -> RunnableConfig:
        """Return the config for running the tool, with these answers for its interrupts."""
        configurable = config.get("configurable", {})
        scratchpad = configurable.get(SCRATCHPAD_KEY)
        if scratchpad is None:
            return config
        self._calls, self._asked, self._used = 0, {}, {}
        self._base = str(configurable.get("checkpoint_ns") or "")
        own = dataclasses.replace(
            scratchpad,
            resume=list(self._answers),
            interrupt_counter=self._count,
            get_null_resume=self._answer_of_graph,
            # LangGraph numbers the graphs that a node calls, and keeps their checkpoints under the number.
            subgraph_counter=itertools.count().__next__,
        )
        changes = {
            SCRATCHPAD_KEY: own,
            # `interrupt()` also saves the answers that it returns among the writes of the node. There they would be
            # taken for answers to the node's own reviews.
            _SEND_KEY: lambda writes: None,
            _RESUME_MAP_KEY: {**(configurable.get(_RESUME_MAP_KEY) or {}), **self._by_id},
        }
        if self._is_again:  # a graph of the tool would otherwise take its input for another one
            changes[_RESUMING_KEY] = True
        self._is_again = True
        return {**config, "configurable": {**configurable, **changes}}

    def _count(self) -> int:
        self._calls += 1
        return self._calls - 1

    def _answer_of_graph(self, consume: bool = False) -> Any:
        """Return the next answer for a node of a graph; LangGraph asks here where it has no answer of its own."""
        if not consume:
            return None
        config = get_config()
        configurable = config["configurable"]
        namespace = str(configurable.get("checkpoint_ns") or "")
        if namespace == self._base:  # the tool's own interrupt
            return None
        place = self._place(namespace, (config.get("metadata") or {}).get("langgraph_path"))
        answers, number = self._by_place.get(place, []), self._used.get(place, 0)
        if number < len(answers):
            self._used[place] = number + 1
            return answers[number]
        index = len(configurable[SCRATCHPAD_KEY].resume)
        interrupt = Interrupt.from_ns(value=None, ns=f"{namespace}|{index}" if index else namespace)
        self._asked[interrupt.id] = _Asked(place, number, configurable)
        return None

    def _place(self, namespace: str, path: Any) -> str:
        """Return the names of the nodes on the way to a namespace, and the number of a node that runs several times."""
        inner = namespace.removeprefix(self._base).split("|")
        return "|".join(part.partition(":")[0] for part in inner) + f"@{path}"

    async def questions_in(self, bridge: Bridge, pause: GraphInterrupt) -> list[Question]:
        """Return the questions of a pause; none for one that asks nothing that an answer could reach.

        Args:
            bridge: How to call a blocking function.
            pause: What the tool has raised.
        """
        interrupts: Sequence[Interrupt] = pause.args[0] if pause.args else ()
        if len(interrupts) == 1 and self._calls == len(self._answers) + 1:
            return [Question(interrupts[0], "tool", "", len(self._answers))]
        questions = []
        for interrupt in interrupts:
            if (asked := self._asked.get(interrupt.id)) is None:
                continue
            # On a thread: a saver for event loops waits for its loop.
            if await bridge.offload(lambda asked=asked: self._is_saved(asked.configurable)):  # type: ignore[misc]
                questions.append(Question(interrupt, "saved", interrupt.id, 0))
            else:
                questions.append(Question(interrupt, "unsaved", asked.place, asked.number))
        return questions

    def _is_saved(self, configurable: dict[str, Any]) -> bool:
        """True if the steps of all graphs between the tool and the node are saved, so that the graphs go on."""
        saver, checkpoints = configurable.get(_CHECKPOINTER_KEY), configurable.get("checkpoint_map") or {}
        if not isinstance(saver, BaseCheckpointSaver):
            return False
        graphs = {ns: id for ns, id in checkpoints.items() if ns == self._base or ns.startswith(f"{self._base}|")}
        thread_id = configurable.get("thread_id")
        return all(
            saver.get_tuple({"configurable": {"thread_id": thread_id, "checkpoint_ns": ns, "checkpoint_id": id}})
            for ns, id in graphs.items()
        )
