"""Runs whose words stream, and the page that shows them by the rule in the guide on streaming."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from langchain_core.language_models import BaseChatModel
from langchain_core.tools import tool

from orchestrator import CallPolicy, Limits, Run, TaskOrchestrator, declare
from orchestrator.events import Event, TextDelta, TextVoided
from orchestrator.model_calls.retries import Resilience
from orchestrator.models.factory import chat_model
from orchestrator.models.settings import ModelSettings
from orchestrator.testing import OpenAIServer, ScriptedModel, say
from tests.support.teams import make_team


class Page:
    """The words that stand on a page, by sub-task; those of the answer are under "".

    Attributes:
        shown: The words.
        voided: The reasons for which words were taken away.
        deltas: All deltas, in their order.
    """

    def __init__(self) -> None:
        self.shown: dict[str, str] = {}
        self.voided: list[str] = []
        self.deltas: list[TextDelta] = []
        self._streams: dict[str, str] = {}

    def __call__(self, event: Event) -> None:
        """Show an event."""
        if isinstance(event, TextDelta):
            self.deltas.append(event)
            if self._streams.get(event.sub_task_id) != event.stream:
                self._streams[event.sub_task_id], self.shown[event.sub_task_id] = event.stream, ""
            self.shown[event.sub_task_id] += event.text
        elif isinstance(event, TextVoided):
            assert self._streams[event.sub_task_id] == event.stream, "only what is shown is declared void"
            self.voided.append(event.why)
            del self.shown[event.sub_task_id]
            del self._streams[event.sub_task_id]


@declare(risk="read")
@tool
def look(at: str) -> str:
    """Looks."""
    return f"seen {at}"


def open_on(model: Any, *tools: Any, policy: CallPolicy | None = None, **options: Any) -> TaskOrchestrator:
    """Open a small team with a model."""
    team = make_team(lambda _: say(""), *tools, limits=Limits(parallel_workers=1))
    for agent in (team.supervisor, *team.workers.values()):
        agent.model = model
    team.calls = policy or CallPolicy(resilience=Resilience(retries=2, first_wait_s=0))
    return TaskOrchestrator(team=team, db="memory://", **options)


def endpoint(server: OpenAIServer, **settings: Any) -> BaseChatModel:
    """Return the model at a scripted endpoint."""
    return chat_model(ModelSettings(base_url=server.base_url, model="m", **settings))


def read(orchestrator: TaskOrchestrator, task: str = "x") -> tuple[Page, Run]:
    """Run a task before a page."""
    page = Page()
    return page, orchestrator.run(task, auto_approve=True, on_event=page, thread_id="t")


@contextmanager
def scripted(script: Any) -> Iterator[BaseChatModel]:
    """Yield a model in this process."""
    yield ScriptedModel(script)


@contextmanager
def over_http(script: Any) -> Iterator[BaseChatModel]:
    """Yield a model at an endpoint."""
    with OpenAIServer(script) as server:
        yield endpoint(server)
