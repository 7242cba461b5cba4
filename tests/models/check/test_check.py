"""A check tells what a model and its endpoint can do, in which form, and what was refused."""

import pytest

from orchestrator import ModelCheck, ModelError, ModelSettings, chat_model, check_model
from orchestrator.models.check.form_words import form_words
from orchestrator.models.profile import ModelProfile
from orchestrator.models.requests.catalogue import ALL
from orchestrator.testing import OpenAIServer, ScriptedModel, call, say
from orchestrator.testing.dialects.catalogue import DIALECTS
from orchestrator.testing.openai_server import Fault
from tests.support.checked import capable

NAMES = ["chat", "tools", "tool results", "parallel tools", "JSON plan", "streaming"]


def checked(dialect: str) -> ModelCheck:
    with OpenAIServer(capable, dialect=DIALECTS[dialect]) as server:
        return check_model(ModelSettings(base_url=server.base_url, model=DIALECTS[dialect].model))


def findings(check: ModelCheck) -> dict[str, str]:
    return {each.name: each.finding for each in check.requests}


def test_of_a_server_that_can_all_everything_is_native() -> None:
    told: list[str] = []
    with OpenAIServer(capable) as server:
        check = check_model(ModelSettings(base_url=server.base_url), told.append)
    assert told == NAMES
    assert findings(check) == dict.fromkeys(NAMES, "native")
    assert (check.can_work, check.reports_usage, check.endpoint) == (True, True, server.base_url)
    assert all(each.tokens and each.seconds > 0 for each in check.requests)


@pytest.mark.parametrize("dialect", ["vllm", "llama.cpp", "openrouter", "groq", "deepseek", "gemini", "xai"])
def test_a_team_could_work_with_each_server(dialect: str) -> None:
    assert checked(dialect).obstacles == ()


def test_tools_as_json_are_a_weaker_form_with_the_endpoints_own_words() -> None:
    check = checked("ollama with a model without tools")
    tools = check.requests[1]
    assert (tools.finding, tools.forms) == ("weaker", ("tool calls as JSON in words",))
    assert "does not support tools" in tools.refusal
    assert findings(check) == dict.fromkeys(NAMES, "native") | dict.fromkeys(NAMES[1:4], "weaker")


def test_a_form_that_was_found_earlier_is_told_where_it_makes_an_answer_worse() -> None:
    plan = checked("openai o1-mini").requests[4]
    assert (plan.finding, plan.forms) == ("weaker", ("a schema in words",))


def test_calls_in_texts_and_broken_calls_are_told() -> None:
    assert checked("calls in text: hermes").requests[1].note == "calls stand in the text of the answer"
    assert checked("broken arguments: words").requests[1].note == "some calls are broken, and the model has to be told"


@pytest.mark.parametrize(
    ("dialect", "window", "source"),
    [
        ("vllm", 32_768, "the endpoint's list of models"),
        ("lm studio", 8192, "what LM Studio tells of the model"),
        ("ollama", 32_768, "what Ollama tells of the model"),
        ("deepseek", 8192, "a guess: set ORCHESTRATOR_CONTEXT_WINDOW"),
    ],
)
def test_the_window_says_where_it_comes_from(dialect: str, window: int, source: str) -> None:
    check = checked(dialect)
    assert (check.window, check.window_source) == (window, source)


def test_later_runs_use_the_window_and_the_forms_that_a_check_has_learned() -> None:
    with OpenAIServer(capable, dialect=DIALECTS["vllm"]) as server:
        settings = ModelSettings(base_url=server.base_url)
        check_model(settings)
        assert ModelProfile.of(chat_model(settings)).window == 32_768


def test_a_check_forgets_what_was_learned_before() -> None:
    with OpenAIServer(capable, dialect=DIALECTS["ollama with a model without tools"]) as server:
        settings = ModelSettings(base_url=server.base_url)
        assert check_model(settings).requests[1].finding == "weaker"
        server.speaker = None  # the server was upgraded
        assert check_model(settings).requests[1].finding == "native"


def test_a_server_that_refuses_everything_works_with_no_team() -> None:
    with OpenAIServer(capable, faults=lambda _: Fault(400, "we are closed")) as server:
        check = check_model(ModelSettings(base_url=server.base_url))
    assert findings(check) == dict.fromkeys(NAMES, "no")
    assert check.obstacles == ("chat", "tools", "tool results", "JSON plan")
    assert "we are closed" in check.requests[0].refusal


def test_a_model_that_never_calls_works_with_no_team() -> None:
    with OpenAIServer(lambda request: say("I would rather talk")) as server:
        check = check_model(ModelSettings(base_url=server.base_url))
    assert check.obstacles == ("tools", "tool results", "JSON plan")


@pytest.mark.parametrize(
    ("status", "told"), [(401, "refuses the key"), (404, "knows no such model or path"), (403, "does not allow this")]
)
def test_what_no_form_of_a_request_can_mend_is_one_line(status: int, told: str) -> None:
    with (
        OpenAIServer(capable, faults=lambda _: Fault(status, "no")) as server,
        pytest.raises(ModelError, match=told),
    ):
        check_model(ModelSettings(base_url=server.base_url, api_key="a-wrong-key"))
    assert len(server.bodies) == 1


def test_a_server_that_loads_is_asked_again() -> None:
    with OpenAIServer(capable, faults=[Fault(503, "Loading model", (("Retry-After", "0"),))]) as server:
        assert check_model(ModelSettings(base_url=server.base_url)).can_work


def test_any_chat_model_can_be_checked() -> None:
    check = check_model(ScriptedModel(capable))
    assert (check.can_work, check.endpoint) == (True, "ScriptedModel")
    assert not check_model(ScriptedModel(lambda request: call("population", town="Onda"))).can_work


def test_every_form_has_words() -> None:
    assert not [name for name in ALL if form_words(name) == name]


def with_effort(server: OpenAIServer) -> dict[str, str]:
    return dict(check_model(ModelSettings(base_url=server.base_url, reasoning_effort="low")).settings)


def test_the_reasoning_effort_is_told_and_that_an_endpoint_refuses_it() -> None:
    with OpenAIServer(capable) as server:
        assert with_effort(server) == {"reasoning_effort": "low"}
        assert {body["reasoning_effort"] for body in server.bodies} == {"low"}
        server.refuse(
            lambda body: Fault(400, "Unrecognized field: reasoning_effort") if "reasoning_effort" in body else None
        )
        assert with_effort(server) == {"reasoning_effort": "low, refused and left out"}
