"""An answer that was cut off is never taken for whole: the model goes on once, and what stays cut off says so."""

from pathlib import Path
from typing import Any

import pytest
from langchain_core.messages import AIMessage
from langchain_core.outputs import ChatResult
from langchain_core.tools import tool

from orchestrator import Budget, Limits, Supervisor, TaskOrchestrator, Team, Worker, chat_model, declare
from orchestrator.model_calls.truncation import truncated_by
from orchestrator.models.settings import ModelSettings
from orchestrator.testing import OpenAIServer, Reply, Request, ScriptedModel, TeamScript, call, fail, say, structure
from tests.support.endpoints import answered
from tests.support.teams import model_of, step

CUT = "✂"  # where the endpoint cuts an answer off, in these scripts
INCOMPLETE = "incomplete: the model's answer was cut off by its length limit"
GO_ON = "Go on exactly where it stopped"
AGAIN = "is lost. Do it again"


class CutModel(ScriptedModel):
    """A scripted model that says, as endpoints do, why its answer ends."""

    def _result(self, request: Request, reply: Reply) -> ChatResult:
        made = super()._result(request, reply)
        message: Any = made.generations[0].message
        is_cut = message.text.endswith(CUT)
        message.content = message.text.removesuffix(CUT)
        message.response_metadata = {"finish_reason": "length" if is_cut else "stop"}
        if is_cut and message.tool_calls:  # half a call is none
            lost = message.tool_calls.pop()
            message.invalid_tool_calls = [{**lost, "args": '{"page": ', "error": None, "type": "invalid_tool_call"}]
        return made


@tool
def fetch(page: int) -> str:
    """Fetches a page."""
    return f"page {page}"


def open_team(results: Any, *plan: Any, limits: Limits | None = None, **more: Any) -> TaskOrchestrator:
    def script(request: Request) -> Reply:
        last = request.last_user
        if GO_ON in last or AGAIN in last:
            return team_script(Request(request.messages[:-1], request.tools, request.schema, request.max_tokens))
        return team_script(request)

    summary = more.pop("summary", "the answer [a]")
    team_script = TeamScript(list(plan) or [step("a")], results=results, summary=summary)
    workers = [Worker("worker", "You work."), Worker("tooled", "You use tools.", tools=[declare(fetch)])]
    team = Team(Supervisor(), workers, model=CutModel(script), limits=limits or Limits())
    return TaskOrchestrator(team=team, db="memory://", **more)


def worked(team: TaskOrchestrator) -> list[Request]:
    return [
        r for r in model_of(team).requests if "Sub-task a:" in r.text and not r.title and "final answer" not in r.text
    ]


def test_the_model_goes_on_where_it_stopped_and_the_result_is_whole() -> None:
    with open_team({"a": ["first, second, th" + CUT, "ird."]}) as team:
        run = team.run("task", auto_approve=True)
        assert [entry.text for entry in team.memory.all()] == ["first, second, third."]
        asked = worked(team)
        assert run.usage["model_calls"] == len(model_of(team).requests)
    assert run.errors == ()
    assert asked[1].messages[-2] == ("assistant", "first, second, th")
    assert GO_ON in asked[1].last_user


def test_it_goes_on_once_and_what_is_still_cut_off_is_told_to_dependents_the_answer_and_the_user() -> None:
    plan = [step("a"), step("b", "a")]
    with open_team({"a": ["first, " + CUT, "second, " + CUT]}, *plan) as team:
        run = team.run("task", auto_approve=True)
        assert len(worked(team)) == 2
        text = team.memory.all()[0].text
        assert text == f"[{INCOMPLETE}]\nfirst, second,"
        built_on_it = next(r for r in model_of(team).requests if "Sub-task b" in r.last_user)
        assert INCOMPLETE in built_on_it.last_user
        assert f"- a (do a): {INCOMPLETE}" in model_of(team).requests[-1].last_user
    assert (run.status, run.errors) == ("done", (f"a (do a): {INCOMPLETE}",))
    assert run.outcomes["a"].error == INCOMPLETE


def test_without_a_step_left_it_is_marked_at_once() -> None:
    with open_team({"a": ["first, " + CUT]}, limits=Limits(steps=1)) as team:
        run = team.run("task", auto_approve=True)
        assert len(worked(team)) == 1
    assert run.outcomes["a"].error == INCOMPLETE


def test_without_budget_for_the_rest_it_is_marked_and_nobody_is_asked() -> None:
    with open_team({"a": ["first, " + CUT]}, budget=Budget(model_calls=3, summary=0.34)) as team:
        run = team.run("task", auto_approve=True)
        assert len(worked(team)) == 1
    assert (run.status, run.outcomes["a"].error) == ("done", INCOMPLETE)


def test_where_the_request_for_the_rest_is_refused_it_is_marked() -> None:
    with open_team({"a": ["first, " + CUT, fail(answered(400))]}) as team:
        run = team.run("task", auto_approve=True)
        assert [entry.text for entry in team.memory.all()] == [f"[{INCOMPLETE}]\nfirst,"]
    assert run.status == "done"


def test_what_was_lost_is_none_of_the_words_of_an_attempt_that_a_limit_ends() -> None:
    results = {"a": [Reply(text=CUT), call("fetch", page=2), "unused"]}
    with open_team(results, step("a", agent="tooled"), budget=Budget(model_calls=4, summary=0.25)) as team:
        assert team.run("task", auto_approve=True).status == "limited"
        assert "Not finished. So far:\nfetch: page 2" in model_of(team).requests[-1].text


def test_a_human_who_sees_the_result_first_sees_that_it_is_incomplete() -> None:
    with open_team({"a": ["one" + CUT, "two" + CUT]}, step("a", approval=True)) as team:
        run = team.run("task", thread_id="t")
        team.decide(run.reviews[0].id, "approve")
        run = team.resume("t")
        assert INCOMPLETE in run.reviews[0].subject["result"]
        team.decide(run.reviews[0].id, "approve")
        assert team.resume("t").outcomes["a"].error == INCOMPLETE


@pytest.mark.parametrize(
    "lost",
    [
        Reply(text=CUT),
        Reply(text="I fetch it" + CUT, calls=(("fetch", {"page": 1}),)),
        say('{"tool": "fetch", "ar' + CUT),
    ],
)
def test_what_cannot_be_gone_on_with_is_asked_for_again_with_the_same_tools(lost: Reply) -> None:
    with open_team({"a": [lost, call("fetch", page=2), "page 2 says so"]}, step("a", agent="tooled")) as team:
        run = team.run("task", auto_approve=True)
        assert run.status == "done"
        assert [entry.text for entry in team.memory.all()] == ["page 2 says so"]
        asked = worked(team)
    assert AGAIN in asked[1].last_user
    assert asked[1].tools == asked[0].tools
    assert all(text for _, text in asked[1].messages), "endpoints refuse messages without a text"


def test_an_answer_that_is_cut_off_before_it_begins_is_a_failure_that_says_so() -> None:
    revision = {"reason": "", "decision": "finish", "changes": []}
    with open_team({"a": [Reply(text=CUT), Reply(text=CUT)]}) as team:
        inner = team.supervisor.model.script  # type: ignore[attr-defined]
        team.supervisor.model.script = lambda r: structure(revision) if r.title == "Revision" else inner(r)  # type: ignore[attr-defined]
        run = team.run("task", auto_approve=True)
    assert run.outcomes["a"].error == "the agent gave an empty answer, cut off by its length limit"


def test_a_cut_off_answer_to_the_task_says_so_in_itself_and_in_the_notes() -> None:
    with open_team({}, summary="All in all [a], the " + CUT) as team:
        run = team.run("task", auto_approve=True)
    assert run.answer == f"All in all, the\n\n[… {INCOMPLETE}]"
    assert run.errors == (f"the answer is {INCOMPLETE}",)


def test_an_empty_answer_to_the_task_gives_the_results_as_they_are() -> None:
    with open_team({}, summary=" \n") as team:
        run = team.run("task", auto_approve=True)
    assert run.status == "done"
    assert run.answer.startswith("The model gave an empty answer. These are the results as they stand.")
    assert "do a:\nresult of a" in run.answer
    assert run.errors == ("the model's answer was empty",)


@pytest.mark.parametrize(
    ("said", "by"),
    [
        ({"finish_reason": "stop"}, ""),
        ({"finish_reason": "tool_calls"}, ""),
        ({}, ""),
        ({"finish_reason": None}, ""),
        ({"finish_reason": "length"}, "its length limit"),
        ({"stop_reason": "max_tokens"}, "its length limit"),
        ({"done": True, "done_reason": "length"}, "its length limit"),
        ({"done": True, "done_reason": "stop"}, ""),
        ({"finish_reason": "MAX_TOKENS"}, "its length limit"),
        ({"status": "incomplete", "incomplete_details": {"reason": "max_output_tokens"}}, "its length limit"),
        ({"incomplete_details": None, "finish_reason": "stop"}, ""),
        ({"finish_reason": "content_filter"}, "the endpoint's content filter"),
    ],
)
def test_every_providers_word_for_it_is_known(said: dict[str, Any], by: str) -> None:
    assert truncated_by(AIMessage("half", response_metadata=said)) == by


@pytest.mark.parametrize(
    ("tool_mode", "said"),
    [
        ("native", ["first, " + CUT, "second."]),
        ("json", ['{"tool": "answer", "te' + CUT, '{"tool": "answer", "text": "first, second."}']),
    ],
)
def test_it_is_seen_over_http(tmp_path: Path, tool_mode: Any, said: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    def finish(message: dict[str, Any]) -> str:
        is_cut = CUT in str(message["content"])
        message["content"] = str(message["content"]).replace(CUT, "")
        return "length" if is_cut else "stop"

    monkeypatch.setattr("orchestrator.testing.openai_server._finish", finish)
    rest = list(said)

    def script(request: Request) -> Reply:
        if "Write the final answer" in request.last_user:
            return say("the answer [a]")
        return (
            say(rest.pop(0)) if "Sub-task a" in request.text else structure({"sub_tasks": [step("a", agent="tooled")]})
        )

    with OpenAIServer(script) as server:
        settings = ModelSettings(base_url=server.base_url, model="m", max_retries=0, tool_mode=tool_mode)
        workers = [Worker("tooled", "You use tools.", tools=[declare(fetch)])]
        with TaskOrchestrator(Supervisor(), workers, model=chat_model(settings), db=str(tmp_path / "x")) as team:
            assert team.run("task", auto_approve=True).errors == ()
            assert [entry.text for entry in team.memory.all()] == ["first, second."]
