"""Pictures in tools' answers: models that see are shown them, every other model is told their number and size."""

import base64
import json
from pathlib import Path
from typing import Any

import pytest
from langchain_core.tools import tool

from orchestrator import Budget, ModelSettings, Run, Supervisor, TaskOrchestrator, Worker, chat_model, declare
from orchestrator.testing import Fault, OpenAIServer, TeamScript, call
from tests.support.teams import step

PLAN = [step("a", agent="clerk")]
PNG = base64.b64encode(b"\x89PNG" + b"x" * 3000).decode()
JPEG = base64.b64encode(b"\xff\xd8" + b"y" * 900).decode()
FORMS = {
    "LangChain": {"type": "image", "base64": PNG, "mime_type": "image/png"},
    "OpenAI": {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PNG}"}},
    "Anthropic": {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": PNG}},
    "older LangChain": {"type": "image", "source_type": "base64", "data": PNG, "mime_type": "image/png"},
}


def run(
    tmp_path: Path, *answers: Any, sees: bool | None, faults: Any = (), budget: Budget | None = None
) -> tuple[Run, list[dict[str, Any]]]:
    """Run a worker whose tool answers so at each call; give the run and the requests of the worker."""
    left = list(answers)

    @declare(risk="read", trust="untrusted")
    @tool
    def draw(what: str) -> Any:
        """Draws."""
        return left.pop(0)

    replies = [*(call("draw", what=f"lake {number}") for number in range(len(answers))), "it is blue"]
    with OpenAIServer(lambda request: TeamScript(PLAN, results={"a": replies})(request), faults=faults) as server:
        # A name of its own: the process remembers who refuses pictures, and a port may come again.
        settings = ModelSettings(base_url=server.base_url, model=tmp_path.name, sees=sees, api_key="k")
        model = chat_model(settings)
        clerk = Worker("clerk", "You draw.", tools=[draw])
        with TaskOrchestrator(Supervisor(), [clerk], db=tmp_path / "x.db", model=model) as orchestrator:
            done = orchestrator.run("t", auto_approve=True, budget=budget)
        return done, [body for body in server.bodies if any(m["role"] == "tool" for m in body["messages"])]


def pictures(body: dict[str, Any]) -> list[str]:
    """The addresses of the pictures of a request, all in messages of the user."""
    blocks = [b for m in body["messages"] if isinstance(m["content"], list) for b in m["content"]]
    assert {m["role"] for m in body["messages"] if isinstance(m["content"], list)} <= {"user"}
    return [block["image_url"]["url"] for block in blocks if block["type"] == "image_url"]


@pytest.mark.parametrize("form", FORMS)
def test_a_model_that_sees_is_shown_a_picture_in_every_form(form: str, tmp_path: Path) -> None:
    done, [request] = run(tmp_path, [{"type": "text", "text": "a lake"}, FORMS[form]], sees=True)
    assert (done.status, done.errors) == ("done", ())
    assert pictures(request) == [f"data:image/png;base64,{PNG}"]
    roles = [message["role"] for message in request["messages"]]
    assert roles[-2:] == ["tool", "user"]
    assert PNG not in json.dumps(request["messages"][:-1])


@pytest.mark.parametrize("sees", [False, None])
def test_a_model_that_does_not_is_told_their_number_and_size(sees: bool | None, tmp_path: Path) -> None:
    answer = [FORMS["LangChain"], FORMS["OpenAI"], {"type": "image", "base64": JPEG, "mime_type": "image/jpeg"}]
    done, [request] = run(tmp_path, answer, sees=sees)
    assert done.status == "done"
    assert pictures(request) == []
    assert "[not shown, since only text is: 2 image (image/png, 2 KB), 1 image (image/jpeg, 1 KB)]" in str(request)


def test_what_a_model_cannot_see_is_named_and_an_address_is_never_passed_on(tmp_path: Path) -> None:
    answer = [
        {"type": "image_url", "image_url": {"url": "https://example.org/a.png?secret"}},
        {"type": "image", "base64": PNG, "mime_type": "image/tiff"},
        {"type": "image", "base64": "QUJD" * 600_000, "mime_type": "image/png"},
        {"type": "audio", "base64": PNG, "mime_type": "audio/wav"},
        FORMS["LangChain"],
    ]
    done, [request] = run(tmp_path, answer, sees=True)
    assert done.status == "done"
    assert pictures(request) == [f"data:image/png;base64,{PNG}"]
    assert "secret" not in str(request)
    for name in ("1 image (unknown type)", "image/tiff", "1,757 KB", "1 audio (audio/wav"):
        assert name in str(request)


def test_only_the_newest_pictures_are_sent_with_a_request(tmp_path: Path) -> None:
    answers = [[{**FORMS["LangChain"], "base64": base64.b64encode(bytes([n]) * 30).decode()}] for n in range(6)]
    done, requests = run(tmp_path, *answers, sees=True)
    assert done.status == "done"
    assert [len(pictures(request)) for request in requests] == [1, 2, 3, 4, 4, 4]
    assert str(requests[-1]["messages"]).count("not shown") == 2


def test_an_endpoint_that_refuses_pictures_is_asked_without_them(tmp_path: Path) -> None:
    def refuse(body: dict[str, Any]) -> Fault | None:
        return Fault(400, "this model does not support image input") if "image_url" in str(body) else None

    done, requests = run(tmp_path, [FORMS["LangChain"]], [FORMS["LangChain"]], sees=True, faults=refuse)
    assert (done.status, done.errors) == ("done", ())
    assert [len(pictures(request)) for request in requests] == [1, 0, 0], "it is not asked so again"


def test_a_picture_counts_in_the_budget_and_taints_like_a_text(tmp_path: Path) -> None:
    done, _ = run(tmp_path, [FORMS["LangChain"]], sees=True, budget=Budget(tokens=6_000))
    assert done.status == "limited", "a picture may cost 5,000 tokens"
