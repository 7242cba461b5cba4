"""A thread keeps the models that it ran with. Nothing is sent to another one unless a person says so."""

import signal
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from orchestrator import (
    CallPolicy,
    ModelChangedError,
    ModelSettings,
    OrchestratorClient,
    Supervisor,
    TaskOrchestrator,
    Team,
    Worker,
    chat_model,
)
from orchestrator.testing import OpenAIServer, ScriptedModel, TeamScript, run_until_killed
from tests.support.other_model import begin_and_die
from tests.support.teams import step

PLAN = [step("a", approval=True), step("b", "a")]
SECRETS = ("s3cret-pass", "sk-very-secret-key")


@pytest.fixture
def local() -> Iterator[OpenAIServer]:
    with OpenAIServer(TeamScript(PLAN)) as server:
        yield server


@pytest.fixture
def cloud() -> Iterator[OpenAIServer]:
    with OpenAIServer(TeamScript(PLAN)) as server:
        yield server


def opened(
    db: Path, address: str, model: str = "m", worker: str | None = None, calls: CallPolicy | None = None
) -> TaskOrchestrator:
    """Open a team whose supervisor, and worker unless it has another one, ask the model at this address."""
    main = chat_model(ModelSettings(base_url=address, model=model))
    own = None if worker is None else chat_model(ModelSettings(base_url=worker, model="own"))
    team = Team(Supervisor(), [Worker("worker", "You work.", model=own)], model=main, calls=calls)
    return TaskOrchestrator(team=team, db=db)


def begun(db: Path, *arguments: str, **options: CallPolicy) -> None:
    """Run a task until it waits for the review of its plan, and approve the plan."""
    with opened(db, *arguments, **options) as orchestrator:
        run = orchestrator.run("go", thread_id="t")
        orchestrator.decide(run.reviews[0], "approve")


@pytest.fixture
def db(tmp_path: Path) -> Path:
    return tmp_path / "runs.db"


def test_a_resume_with_another_endpoint_is_refused_before_anything_is_sent(
    db: Path, local: OpenAIServer, cloud: OpenAIServer
) -> None:
    begun(db, local.base_url)
    with opened(db, cloud.base_url) as orchestrator:
        with pytest.raises(ModelChangedError) as refused:
            orchestrator.resume("t")
        assert f"ran with m at {local.base_url.removesuffix('/v1')}; now it would be m at " in str(refused.value)
        assert "allow_other_model=True" in str(refused.value)
        assert cloud.bodies == []
        run = orchestrator.resume("t", allow_other_model=True)
    assert run.reviews
    assert cloud.bodies


def test_after_a_consent_the_thread_keeps_the_other_model(db: Path, local: OpenAIServer, cloud: OpenAIServer) -> None:
    begun(db, local.base_url)
    with opened(db, cloud.base_url) as orchestrator:
        orchestrator.resume("t", allow_other_model=True)
        assert orchestrator.resume("t").models["agents"]["worker"]["endpoint"] == cloud.base_url
    with opened(db, local.base_url) as orchestrator, pytest.raises(ModelChangedError):
        orchestrator.resume("t")


def test_another_model_at_the_same_endpoint_is_refused_too(db: Path, local: OpenAIServer) -> None:
    begun(db, local.base_url, "small")
    with (
        opened(db, local.base_url, "large") as orchestrator,
        pytest.raises(ModelChangedError, match=r"ran with small at .*; now it would be large at"),
    ):
        orchestrator.resume("t")


@pytest.mark.parametrize("spelling", ["{}/", "http://name:s3cret-pass@{}"])
def test_the_same_endpoint_in_another_spelling_is_the_same(db: Path, local: OpenAIServer, spelling: str) -> None:
    begun(db, local.base_url)
    address = spelling.format(local.base_url.removeprefix("http://" if "@" in spelling else ""))
    with opened(db, address) as orchestrator:
        assert orchestrator.resume("t").status == "waiting"


def test_a_name_and_its_number_are_two_endpoints(db: Path, local: OpenAIServer) -> None:
    begun(db, local.base_url)
    with (
        opened(db, local.base_url.replace("127.0.0.1", "localhost")) as orchestrator,
        pytest.raises(ModelChangedError),
    ):
        orchestrator.resume("t")


def test_a_worker_whose_own_model_changes_is_named(db: Path, local: OpenAIServer, cloud: OpenAIServer) -> None:
    begun(db, cloud.base_url, "m", local.base_url)
    with (
        opened(db, cloud.base_url) as orchestrator,  # the worker's documents stayed here, and would go to the cloud
        pytest.raises(ModelChangedError, match=r"ran with own at .* for worker; now it would be m at"),
    ):
        orchestrator.resume("t")


def test_a_new_fallback_elsewhere_is_refused_and_a_missing_one_is_not(
    db: Path, local: OpenAIServer, cloud: OpenAIServer
) -> None:
    elsewhere = CallPolicy(fallbacks=[chat_model(ModelSettings(base_url=cloud.base_url, model="big"))])
    begun(db, local.base_url)
    with (
        opened(db, local.base_url, calls=elsewhere) as orchestrator,
        pytest.raises(ModelChangedError, match=r"did not use big at .* before, and now would for a fallback"),
    ):
        orchestrator.resume("t")
    with opened(db, local.base_url, calls=elsewhere) as orchestrator:
        orchestrator.resume("t", allow_other_model=True)
    with opened(db, local.base_url) as orchestrator:
        assert orchestrator.resume("t").reviews


def test_the_next_task_of_a_conversation_is_asked_about_too_unless_it_begins_afresh(
    db: Path, local: OpenAIServer, cloud: OpenAIServer
) -> None:
    with opened(db, local.base_url) as orchestrator:
        orchestrator.run("go", thread_id="t", auto_approve=True)
    with opened(db, cloud.base_url) as orchestrator:
        with pytest.raises(ModelChangedError):
            orchestrator.run("and then?", thread_id="t", auto_approve=True)
        assert cloud.bodies == []
        assert orchestrator.run("anew", thread_id="t", auto_approve=True, afresh=True).status == "done"


def test_a_thread_that_has_ended_is_returned_with_any_model(db: Path, local: OpenAIServer, cloud: OpenAIServer) -> None:
    with opened(db, local.base_url) as orchestrator:
        orchestrator.run("go", thread_id="t", auto_approve=True)
    with opened(db, cloud.base_url) as orchestrator:
        assert orchestrator.resume("t").status == "done"


def test_a_default_model_that_nobody_has_made_yet_is_compared_by_the_environment(
    db: Path, local: OpenAIServer, cloud: OpenAIServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_BASE_URL", local.base_url)
    team = Team(Supervisor(), [Worker("worker", "You work.")])
    with TaskOrchestrator(team=team, db=db) as orchestrator:
        run = orchestrator.run("go", thread_id="t")
        orchestrator.decide(run.reviews[0], "approve")
    monkeypatch.setenv("OPENAI_BASE_URL", cloud.base_url)
    again = Team(Supervisor(), [Worker("worker", "You work.")])
    with TaskOrchestrator(team=again, db=db) as orchestrator, pytest.raises(ModelChangedError):
        orchestrator.resume("t")
    assert cloud.bodies == []


def test_a_thread_of_openai_says_that_its_key_is_missing(db: Path, local: OpenAIServer) -> None:
    key = "sk-very-secret-key"
    openai = chat_model(ModelSettings(api_key=key, model="gpt-4.1-mini"))
    team = Team(Supervisor(model=ScriptedModel(TeamScript(PLAN))), [Worker("worker", "You work.", model=openai)])
    with TaskOrchestrator(team=team, db=db) as orchestrator:
        orchestrator.run("go", thread_id="t")
    with (
        opened(db, local.base_url) as orchestrator,
        pytest.raises(ModelChangedError, match=r"gpt-4.1-mini at api\.openai\.com.*OPENAI_API_KEY is not set here"),
    ):
        orchestrator.resume("t")


def test_the_record_names_models_and_never_a_key(db: Path, local: OpenAIServer) -> None:
    host = local.base_url.removeprefix("http://")
    address = f"http://name:s3cret-pass@{host}"
    settings = ModelSettings(base_url=address, api_key="sk-very-secret-key", model="m")
    team = Team(Supervisor(), [Worker("worker", "You work.")], model=chat_model(settings))
    with TaskOrchestrator(team=team, db=db) as orchestrator:
        orchestrator.run("go", thread_id="t", plan=[step("a")])
    with OrchestratorClient(db) as client:
        assert client.threads()[0].models["agents"]["supervisor"] == {"model": "m", "endpoint": local.base_url}
        assert client.show("t").to_dict()["models"] == client.threads()[0].models
    with sqlite3.connect(db) as connection:
        dump = "".join(connection.iterdump())
    assert not [secret for secret in SECRETS if secret in dump]


def test_a_thread_without_a_record_of_its_models_goes_on_and_keeps_them_from_then_on(
    db: Path, local: OpenAIServer, cloud: OpenAIServer
) -> None:
    begun(db, local.base_url)
    with OrchestratorClient(db) as client:  # as version 0.1.0 has left it
        row = dict(client.persistence.store.get(("orchestrator", "threads"), "t").value)
        del row["models"]
        client.persistence.store.put(("orchestrator", "threads"), "t", row)
    with opened(db, cloud.base_url) as orchestrator:
        assert orchestrator.resume("t").status == "waiting"
        assert orchestrator.threads()[0].models["agents"]["worker"]["endpoint"] == cloud.base_url


def test_a_kill_right_after_the_first_durable_write_leaves_the_models_known(tmp_path: Path) -> None:
    assert run_until_killed(begin_and_die, tmp_path) == -signal.SIGKILL
    with (
        opened(tmp_path / "runs.db", "http://127.0.0.1:9/v1") as orchestrator,
        pytest.raises(ModelChangedError, match="ran with ScriptedModel"),
    ):
        orchestrator.resume("t")
