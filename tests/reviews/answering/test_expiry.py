"""A review that nobody answers is answered by a rule after its time, by a run or a server, and the journal says so."""

import asyncio
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.store.memory import InMemoryStore

from orchestrator import Budget, OrchestratorClient, Policy, TaskOrchestrator, compile_graph
from orchestrator.budget.spend import Spend
from orchestrator.errors import ConfigError
from orchestrator.reviews.answering.expiry import EXPIRED, Expiry
from orchestrator.reviews.questions import CallInQuestion, budget_review, repeat_review
from orchestrator.reviews.review import Review
from orchestrator.server.reviewing.inbox import Inbox
from orchestrator.server.watching.review_watch import ReviewWatch
from orchestrator.testing import Gate, TeamScript, call, say
from tests.support.running import Running, planned
from tests.support.teams import make_team, step, writer

SOON, LATE = "0.001s -> reject", "24h -> reject"
PLAN = planned(step("a", agent="tooled"), step("b"))


def team(rule: Any, effects: list[str], *, gate: Gate | None = None) -> Any:
    other = say("b").behind(gate) if gate else say("b")
    script = TeamScript([step("a"), step("b")], results={"a": [call("write", text="x"), say("gave up")], "b": other})
    made = make_team(script, writer(effects))
    made.use_policy(Policy(review_expires=rule))
    return made


def told(db: Path) -> list[tuple[str, str, str]]:
    with OrchestratorClient(db) as client:
        records = [each for each in client.journal("t") if each.kind == "review_answered"]
    return [(each.data["action"], each.by, each.data.get("text", "")) for each in records]


def test_a_run_at_work_refuses_a_call_that_nobody_answers_and_goes_on(tmp_path: Path) -> None:
    gate, effects = Gate(), list[str]()
    with TaskOrchestrator(team=team(SOON, effects, gate=gate), db=tmp_path / "x.db") as orchestrator:
        running = Running(orchestrator.run, "go", thread_id="t", plan=PLAN)
        running.seen.until_status("a", "succeeded")  # while the other one still works
        gate.release()
        assert running.result().status == "done"
    assert effects == []
    assert told(tmp_path / "x.db") == [("reject", EXPIRED, "nobody answered within 0.001 s")]


def test_a_resumed_run_obeys_the_rule_for_the_time_in_which_nothing_ran(tmp_path: Path) -> None:
    effects = list[str]()
    with TaskOrchestrator(team=team("", effects), db=tmp_path / "x.db") as orchestrator:
        assert orchestrator.run("go", thread_id="t", plan=PLAN).status == "waiting"
    with TaskOrchestrator(team=team(LATE, effects), db=tmp_path / "x.db") as orchestrator:
        assert orchestrator.resume("t").status == "waiting", "its time is not over"
    with TaskOrchestrator(team=team(SOON, effects), db=tmp_path / "x.db") as orchestrator:
        assert orchestrator.resume("t").status == "done"
    assert (effects, told(tmp_path / "x.db")[0][:2]) == ([], ("reject", EXPIRED))


def test_a_plan_that_nobody_answers_is_approved_or_stopped_where_the_policy_says_so(tmp_path: Path) -> None:
    for number, (action, status) in enumerate((("approve", "waiting"), ("stop", "stopped"))):
        db = tmp_path / f"{number}.db"
        rule = {"plan": f"0.001s -> {action}"}
        with TaskOrchestrator(team=team(rule, []), db=db) as orchestrator:
            assert orchestrator.run("go", thread_id="t").reviews[0].kind == "plan"
            run = orchestrator.resume("t")
        assert told(db)[0][:2] == (action, EXPIRED)
        assert run.status in (status, "done")


def test_a_server_answers_for_a_thread_that_no_process_runs(tmp_path: Path) -> None:
    db = tmp_path / "x.db"
    with TaskOrchestrator(team=team(SOON, []), db=db) as orchestrator:
        orchestrator.run("go", thread_id="t", plan=planned(step("c", approval=True)))
    with OrchestratorClient(db) as client:
        ReviewWatch(client, Inbox(client)).look()
        assert client.reviews("t") == []
    assert told(db)[0][:2] == ("reject", EXPIRED)


def test_a_server_leaves_a_review_alone_whose_time_is_not_over(tmp_path: Path) -> None:
    db = tmp_path / "x.db"
    with TaskOrchestrator(team=team(LATE, []), db=db) as orchestrator:
        orchestrator.run("go", thread_id="t", plan=planned(step("c", approval=True)))
    with OrchestratorClient(db) as client:
        ReviewWatch(client, Inbox(client)).look()
        assert len(client.reviews("t")) == 1


def test_a_bare_graph_obeys_the_rule_too() -> None:
    effects, config = list[str](), {"configurable": {"thread_id": "t"}}
    graph = compile_graph(team({"tool": SOON}, effects), checkpointer=InMemorySaver(), store=InMemoryStore())

    async def work() -> Any:
        await graph.ainvoke({"task": "go", "given_plan": PLAN.plain()}, config)  # type: ignore[arg-type]
        return await graph.ainvoke(None, config)  # type: ignore[arg-type]

    assert asyncio.run(work())["status"] == "done"
    assert effects == []


def asked(seconds: float) -> datetime:
    return datetime.now(UTC) - timedelta(seconds=seconds)


def test_without_a_rule_no_review_expires() -> None:
    review = Review(id="t/tool-1", kind="tool", question="?")
    assert Expiry.parse("").decision(review, asked(10**9)) is None
    assert Expiry.parse({"plan": LATE}).decision(review, asked(10**9)) is None
    assert Expiry.parse({"plan": SOON, "any": LATE}).decision(review, asked(3600)) is None


def test_a_refusal_has_the_meaning_that_each_review_gives_it() -> None:
    rule = Expiry.parse("1d -> refuse")
    budget = budget_review("t", Budget(tokens=5), "spent", Spend(), 1.0)
    again = repeat_review("t", CallInQuestion("a", "k", "c", "write", {}), "unknown")
    decisions = [rule.decision(review, asked(90_000)) for review in (budget, again)]
    assert [each.action for each in decisions if each] == ["approve", "reject"]
    assert decisions[0] is not None
    assert decisions[0].text == "nobody answered within 1 d"


@pytest.mark.parametrize("value", ["24h", "24h -> edit", "0h -> reject", "x -> stop", {"cake": LATE}, {"tool": "5"}])
def test_a_rule_that_is_none_is_refused_when_the_policy_is_read(value: Any, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="review_expires"):
        Policy(review_expires=value)


def test_a_policy_file_has_the_rule(tmp_path: Path) -> None:
    file = tmp_path / "policy.toml"
    file.write_text('review_expires = "24h -> reject"\n')
    assert Policy.load(file).expiry.rules == (("any", 86400.0, "reject"),)
