"""How models are called in a run: fallbacks, repeated requests, and answers that are cut off."""

from collections.abc import Callable
from typing import Any

import pytest

from orchestrator import Budget, CallPolicy, Limits, TaskOrchestrator
from orchestrator.errors import ModelError
from orchestrator.events import Spent
from orchestrator.model_calls.call_events import FellBack, ModelAsked, ModelReturned
from orchestrator.model_calls.retries import Resilience
from orchestrator.models.factory import chat_model
from orchestrator.models.settings import ModelSettings
from orchestrator.testing import Fault, OpenAIServer, Reply, ScriptedModel, TeamScript, fail, hang
from tests.support.teams import make_team, step


def team_on(
    model: Any, *fallbacks: Any, retries: int = 1, budget: Budget | None = None, **more: Any
) -> TaskOrchestrator:
    team = make_team(TeamScript([step("a")]), limits=Limits(parallel_workers=1))
    for agent in (team.supervisor, *team.workers.values()):
        agent.model = model
    team.calls = CallPolicy(fallbacks=fallbacks, resilience=Resilience(retries=retries, first_wait_s=0, **more))
    return TaskOrchestrator(team=team, db="memory://", budget=budget)


def dead(_: Any) -> Reply:
    return fail(ConnectionResetError("gone"))


def test_fallback_models_are_asked_in_order_and_the_run_tells_of_it() -> None:
    first, second, third = ScriptedModel(dead), ScriptedModel(dead), ScriptedModel(TeamScript([step("a")]))
    events: list[Any] = []
    with team_on(first, second, third, circuit_failures=99) as team:
        run = team.run("sum up", auto_approve=True, on_event=events.append)
    assert run.status == "done"
    assert [len(model.requests) for model in (first, second, third)] == [6, 6, 3]
    assert len([event for event in events if isinstance(event, FellBack)]) == 6
    asked = [event for event in events if isinstance(event, ModelAsked)]
    returned = [event for event in events if isinstance(event, ModelReturned)]
    assert [event.call_id for event in asked] == [event.call_id for event in returned]
    assert len({event.call_id for event in asked}) == 15, "repeated requests are told, too"
    assert [(event.sub_task_id, event.agent) for event in asked[::5]] == [
        ("", "supervisor"),
        ("a", "worker"),
        ("", "supervisor"),
    ]
    assert ["gone" in event.error for event in returned[:5]] == [True, True, True, True, False]


def test_the_limits_of_the_run_are_told_with_what_it_has_spent() -> None:
    events: list[Any] = []
    with team_on(ScriptedModel(TeamScript([step("a")])), budget=Budget(tokens=90_000, wall_clock_s=60)) as team:
        team.run("sum up", auto_approve=True, on_event=events.append)
    assert {str(event.limits) for event in events if isinstance(event, Spent)} == {
        "{'tokens': 90000, 'wall_clock_s': 60.0}"
    }


def test_a_dead_model_is_left_alone_after_a_few_failures() -> None:
    first, second = ScriptedModel(dead), ScriptedModel(TeamScript([step(name) for name in "abcdefgh"]))
    with team_on(first, second, circuit_failures=3) as team:
        run = team.run("sum up", auto_approve=True)
    assert run.status == "done"
    assert len(first.requests) == 3


def test_no_more_is_reserved_for_an_answer_than_the_window_leaves() -> None:
    model = ScriptedModel(TeamScript([step("a")]))
    model.window = 3000  # type: ignore[attr-defined]
    with team_on(model, budget=Budget(tokens=100_000, answer_tokens=4096)) as team:
        assert team.run("sum up", auto_approve=True).status == "done"
    assert all(request.max_tokens and 1000 < request.max_tokens < 3000 for request in model.requests)
    model.window = 1_000_000  # type: ignore[attr-defined]
    with team_on(model, budget=Budget(tokens=100_000, answer_tokens=4096)) as team:
        team.run("sum up", auto_approve=True)
    assert model.requests[-1].max_tokens == 4096


class SlowModel(ScriptedModel):
    """A model with a time limit of its own, as those at endpoints have."""

    request_timeout: float = 0.2


@pytest.mark.parametrize(
    ("policy", "told"),
    [
        ({}, "no answer within 0.2 s; set ORCHESTRATOR_TIMEOUT_S, or the timeout of a model of your own, to more"),
        ({"time_limit_s": 0.1}, "no answer within 0.1 s; give CallPolicy a higher time_limit_s"),
    ],
)
@pytest.mark.parametrize(
    "ask",
    [
        lambda orchestrator: orchestrator.run("sum up"),
        lambda orchestrator: orchestrator.graph.invoke({"task": "x"}, {"configurable": {"thread_id": "t"}}),
    ],
    ids=["awaiting", "blocking"],
)
def test_an_answer_that_comes_too_late_says_which_limit_can_be_raised(
    policy: dict[str, Any], told: str, ask: Callable[[TaskOrchestrator], Any]
) -> None:
    team = make_team(lambda _: hang())
    team.supervisor.model = SlowModel(lambda _: hang())
    team.calls = CallPolicy(resilience=Resilience(retries=0), **policy)
    with TaskOrchestrator(team=team, db="memory://") as orchestrator, pytest.raises(ModelError, match=told):
        ask(orchestrator)


@pytest.mark.parametrize(
    "fault",
    [Fault(503, "busy"), Fault(429, "slow", headers=(("Retry-After", "0"),)), Fault(0)],
    ids=["503", "429", "lost connection"],
)
def test_over_http_a_failure_that_passes_costs_one_more_request(fault: Fault) -> None:
    with OpenAIServer(TeamScript([step("a")]), faults=[fault]) as server:
        model = chat_model(ModelSettings(base_url=server.base_url, model="m", max_retries=2))
        with team_on(model) as team:
            run = team.run("sum up", auto_approve=True)
        assert run.status == "done", run.errors
        assert len(server.bodies) == 4


def test_over_http_a_refusal_costs_nothing_and_a_failure_of_the_server_costs_its_reservation() -> None:
    spent = {}
    for status in (429, 503):
        fault = Fault(status, "no", headers=(("Retry-After", "0"),))
        with OpenAIServer(TeamScript([step("a")]), faults=[fault]) as server:
            model = chat_model(ModelSettings(base_url=server.base_url, model="m"))
            with team_on(model, budget=Budget(tokens=50_000, answer_tokens=900)) as team:
                spent[status] = team.run("sum up", auto_approve=True).usage
    assert spent[429]["output_tokens"] < 900 <= spent[503]["output_tokens"]
    assert spent[429]["model_calls"] == spent[503]["model_calls"] == 4


def test_over_http_answers_are_capped_under_the_name_that_the_endpoint_knows() -> None:
    with OpenAIServer(TeamScript([step("a")])) as server:
        model = chat_model(ModelSettings(base_url=server.base_url, model="m"))
        with team_on(model, budget=Budget(tokens=50_000, answer_tokens=333)) as team:
            team.run("sum up", auto_approve=True)
        assert [body.get("max_tokens") for body in server.bodies] == [333, 333, 333]
        assert not any("max_completion_tokens" in body for body in server.bodies)


def test_an_endpoint_that_wants_the_other_name_is_given_it() -> None:
    def picky(body: dict[str, Any]) -> Fault | None:
        if "max_tokens" in body:
            return Fault(400, "Unsupported parameter: 'max_tokens'. Use 'max_completion_tokens' instead.")
        return None

    with OpenAIServer(TeamScript([step("a")]), faults=picky) as server:
        model = chat_model(ModelSettings(base_url=server.base_url, model="m"))
        with team_on(model, budget=Budget(tokens=50_000, answer_tokens=333)) as team:
            run = team.run("sum up", auto_approve=True)
        assert run.status == "done"
        assert [body.get("max_completion_tokens") for body in server.bodies] == [None, 333, 333, 333]
