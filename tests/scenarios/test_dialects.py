"""The same whole job on every server: plan, tools, review, verdict, answer."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from orchestrator import (
    Budget,
    Event,
    Run,
    Supervisor,
    TaskOrchestrator,
    TextDelta,
    TextVoided,
    Worker,
    chat_model,
    declare,
    reviewer,
)
from orchestrator.models.settings import ModelSettings
from orchestrator.testing import OpenAIServer, Reply, Request, TeamScript, say
from orchestrator.testing.dialects.asking import is_step
from orchestrator.testing.dialects.catalogue import DIALECTS, SERVERS
from orchestrator.testing.dialects.dialect import Dialect
from orchestrator.testing.dialects.hostile import HALVES
from orchestrator.testing.dialects.quirks import THOUGHT
from tests.support.teams import step

LEVELS = {"Onda": 412, "Vela": 388, "Mira": 377}
PLAN = [
    step("first", agent="surveyor", approval=True),
    step("others", agent="surveyor"),
    step("check", "first", "others", agent="reviewer"),
]
LAKES = {"first": ("Onda",), "others": ("Vela", "Mira")}
RESULTS = {"first": "Lake Onda lies at 412 m.", "others": "Lake Vela lies at 388 m, and lake Mira at 377 m."}
ANSWER = "Onda lies highest, at 412 m; then comes Vela, and Mira is the last of the three."


def answered(request: Request) -> Reply:
    """Answer as a model that reads what tools have told it, in whatever form."""
    if (task_id := _sub_task(request)) not in LAKES or request.title == "Verdict":
        return TEAM(request)
    missing = [lake for lake in LAKES[task_id] if f"{lake}: {LEVELS[lake]} m" not in request.text]
    if missing:
        return Reply(calls=tuple(("level", {"lake": lake}) for lake in missing))
    return say(RESULTS[task_id])


def _sub_task(request: Request) -> str:
    headings = re.findall(r"^Sub-task ([\w-]+)[ :]", request.text, re.M)
    return headings[-1] if headings and request.title != "Plan" and "Write the final" not in request.last_user else ""


TEAM = TeamScript(PLAN, summary=ANSWER)


class Job:
    """One team on one server, and the lakes that its tool has read."""

    def __init__(self, server: OpenAIServer, db: Path) -> None:
        self.read: list[str] = []
        self._heard: dict[str, str] = {}

        @declare(risk="read")
        def level(lake: str) -> str:
            """Tell the level of a lake.

            Args:
                lake: The name of the lake.
            """
            self.read.append(lake)
            return f"{lake}: {LEVELS[lake]} m"

        settings = ModelSettings(base_url=server.base_url, temperature=0.1, timeout_s=20)
        workers = [Worker("surveyor", "You survey lakes.", tools=[level]), reviewer()]
        # A budget limits answers, and a listener has them streamed.
        self.team = TaskOrchestrator(
            Supervisor(),
            workers,
            model=chat_model(settings),
            db=str(db),
            budget=Budget(tokens=500_000),
        )

    def _hear(self, event: Event) -> None:
        if isinstance(event, TextDelta):
            self._heard[event.stream] = self._heard.get(event.stream, "") + event.text
        elif isinstance(event, TextVoided):
            del self._heard[event.stream]

    @property
    def heard(self) -> str:
        """What was told word by word, and has not been declared void."""
        return " ".join(self._heard.values())

    def run(self) -> Run:
        run = self.team.run("Which lake lies highest?", on_event=self._hear)
        for _ in range(4):
            if run.status != "waiting":
                break
            for review in run.reviews:
                self.team.decide(review, "approve")
            run = self.team.resume(run.thread_id, on_event=self._hear)
        return run


@contextmanager
def job_on(dialect: Dialect, db: Path) -> Iterator[tuple[OpenAIServer, Job]]:
    with OpenAIServer(answered, dialect=dialect) as server:
        job = Job(server, db)
        with job.team:
            yield server, job


@pytest.mark.parametrize("dialect", DIALECTS.values(), ids=DIALECTS)
def test_the_whole_job(dialect: Dialect, tmp_path: Path) -> None:
    with job_on(dialect, tmp_path / "x.db") as (server, job):
        run = job.run()
        assert (run.status, run.answer) == ("done", ANSWER), (run.errors, [r.answer for r in server.refused])
        assert sorted(job.read) == sorted(LEVELS)
        texts = {entry.sub_task_id: entry.text for entry in job.team.memory_of(run.thread_id).all()}
        assert {name: texts[name] for name in RESULTS} == RESULTS
        assert THOUGHT not in str(texts)
        assert THOUGHT not in job.heard
        refused = [id(each.body) for each in server.refused]
        taken = [body for body in server.bodies if id(body) not in refused]
        assert any(is_step(body) for body in taken) != dialect.tools, "tools in words only where there are no others"
        assert not dialect.tools or any(body.get("tools") for body in taken)
        cost = len(server.refused)
        assert cost <= (15 if dialect.name in SERVERS else 30)
        again = job.run()
        assert again.status == "done"
        assert len(server.refused) == cost, [r.answer for r in server.refused[cost:]]


@pytest.mark.parametrize("dialect", HALVES, ids=[dialect.name for dialect in HALVES])
def test_an_answer_that_breaks_off_in_the_middle_says_so(dialect: Dialect, tmp_path: Path) -> None:
    with job_on(dialect, tmp_path / "x.db") as (_, job):
        run = job.run()
    assert run.status == "done"
    assert run.answer.startswith(ANSWER[:20])
    assert "incomplete" in run.answer
    assert "incomplete" in " ".join(run.errors)
