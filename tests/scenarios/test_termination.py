"""Whatever a model answers, a run ends within its bounds, and never spends more than it was given."""

import asyncio
import random
from typing import Any

from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from orchestrator import Budget, CallPolicy, Limits, Run, Supervisor, TaskOrchestrator, Team, Worker, reviewer
from orchestrator.agents.bounds import bounds_of
from orchestrator.errors import ModelError, PlanError
from orchestrator.model_calls.retries import Resilience
from orchestrator.testing import Reply, Request, ScriptedModel, call, fail, say, structure

HABITS = ("same call", "new call", "wrong tool", "bad arguments", "endless", "rubbish", "silent", "error", "honest")
PLANS = ("wide", "chain", "too large", "cyclic", "rubbish")
REVISIONS = ("add", "retry", "reassign", "drop", "rubbish", "ask")
VERDICTS = ("changes", "rubbish", "accept")


def letters(text: str) -> int:
    """A tokenizer that makes a token of every three letters."""
    return -(-len(text) // 3)


def dig(depth: int) -> str:
    """Digs."""
    return f"nothing at {depth}"


class Adversary:
    """A model that answers by bad habits, each drawn from its own random source; it never tires."""

    def __init__(self, seed: int, size: int, plans: str, work: tuple[str, ...], revise: str, verdict: str) -> None:
        self.random = random.Random(seed)
        self.size, self.plans, self.work, self.revise, self.verdict = size, plans, work, revise, verdict
        self.made = 0

    def __call__(self, request: Request) -> Reply:
        self.made += 1
        usage = self.random.random() < 0.8
        match request.title:
            case "Plan":
                reply = self.plan()
            case "Revision":
                reply = self.revision(request)
            case "Verdict":
                reply = self.judge()
            case _:
                reply = self.step(request)
        return Reply(text=reply.text, calls=reply.calls, error=reply.error, usage=usage)

    def plan(self) -> Reply:
        if self.plans == "rubbish":
            return say("I would rather not")
        size = 200 if self.plans == "too large" else self.size
        tasks = [
            {
                "id": f"t{at}",
                "description": f"do {at}",
                "target_agent": self.random.choice(["plain", "tooled", "reviewer"]) if at else "tooled",
                "depends_on": [f"t{at - 1}"] if at and self.plans != "wide" else [],
                "requires_approval": False,
            }
            for at in range(size)
        ]
        if self.plans == "cyclic":
            tasks[0]["depends_on"] = [f"t{size - 1}"]
        return structure({"sub_tasks": tasks})

    def revision(self, request: Request) -> Reply:
        ids = [word for word in request.text.split() if word.startswith("t") and word[1:].isdigit()] or ["t0"]
        name = self.random.choice(ids)
        if self.revise == "rubbish":
            return say("{")
        if self.revise == "ask":
            return structure({"reason": "", "decision": "ask_human", "changes": []})
        change: dict[str, Any] = {"action": self.revise, "sub_task_id": name, "text": f"again {self.made}"}
        if self.revise == "add":
            change |= {"sub_task_id": f"n{self.made}", "target_agent": "tooled", "depends_on": []}
        if self.revise == "reassign":
            change["target_agent"] = self.random.choice(["plain", "tooled"])
        return structure({"reason": "more", "decision": "revise", "changes": [change]})

    def judge(self) -> Reply:
        if self.verdict == "rubbish":
            return say("hm")
        if self.verdict == "accept":
            return structure({"reason": "fine", "verdict": "accept", "sub_task_id": ""})
        return structure({"reason": f"not good {self.made}", "verdict": "changes_requested", "sub_task_id": "t0"})

    def step(self, request: Request) -> Reply:
        match self.random.choice(self.work):
            case "same call":
                return call("dig", depth=1)
            case "new call":
                return call("dig", depth=self.made)
            case "wrong tool":
                return call("fly", height=3)
            case "bad arguments":
                return call("dig", width="x")
            case "endless":
                return say("and so on " * 4000)
            case "silent":
                return say("")
            case "error":
                return fail(TimeoutError("hung"))
            case "rubbish":
                return say("{]" * 50)
            case _:
                return say(f"result {self.made}")


def run_against(adversary: Adversary, budget: Budget, limits: Limits) -> tuple[Run, ScriptedModel, Team]:
    model = ScriptedModel(adversary, counter=letters)
    workers = [Worker("plain", "You work."), Worker("tooled", "You dig.", tools=[declared_dig()]), reviewer()]
    # Without circuits: this endpoint fails by chance, and the bound holds for those that never rest.
    calls = CallPolicy(resilience=Resilience(retries=1, first_wait_s=0, circuit_failures=10**9))
    team = Team(Supervisor(), workers, model=model, limits=limits, budget=budget, calls=calls)

    async def go() -> Run:
        with TaskOrchestrator(team=team, db="memory://") as orchestrator:
            async with asyncio.timeout(120):
                return await attend(orchestrator)

    return asyncio.run(go()), model, team


async def attend(orchestrator: TaskOrchestrator) -> Run:
    try:
        return await orchestrator.arun("task", thread_id="t", auto_approve=True)
    except (PlanError, ModelError):
        return await orchestrator.ashow("t")


def declared_dig() -> Any:
    from langchain_core.tools import tool

    from orchestrator import declare

    return declare(tool(dig), risk="read", effect="none")


ADVERSARIES = st.builds(
    Adversary,
    seed=st.integers(0, 10**6),
    size=st.integers(1, 12),
    plans=st.sampled_from(PLANS),
    work=st.lists(st.sampled_from(HABITS), min_size=1, max_size=3).map(tuple),
    revise=st.sampled_from(REVISIONS),
    verdict=st.sampled_from(VERDICTS),
)
LIMITS = st.builds(
    Limits,
    sub_tasks=st.just(14),
    rounds=st.integers(1, 4),
    steps=st.integers(1, 6),
    attempts=st.integers(1, 3),
    revisions=st.integers(0, 3),
    plan_repairs=st.integers(0, 2),
    parallel_workers=st.integers(1, 64),
)


def paid(model: ScriptedModel, run: Run) -> int:
    """What the ledger says was spent; the model's own reports are part of it, call by call."""
    return run.usage["input_tokens"] + run.usage["output_tokens"]


@settings(max_examples=60, suppress_health_check=[HealthCheck.too_slow])
@given(adversary=ADVERSARIES, limits=LIMITS, tokens=st.integers(100, 30_000), share=st.sampled_from([1.0, 0.2]))
@example(Adversary(1, 12, "wide", ("endless",), "add", "changes"), Limits(parallel_workers=64), 5000, 1.0)
@example(Adversary(2, 12, "wide", ("same call",), "retry", "changes"), Limits(rounds=3, steps=4), 20_000, 1.0)
@example(Adversary(3, 3, "chain", ("error",), "reassign", "rubbish"), Limits(rounds=3), 20_000, 1.0)
def test_any_run_ends_and_keeps_to_its_tokens(adversary: Adversary, limits: Limits, tokens: int, share: float) -> None:
    budget = Budget(tokens=tokens, answer_tokens=256, sub_task=share)
    run, model, team = run_against(adversary, budget, limits)
    assert run.status in ("done", "failed", "limited", "interrupted")
    assert paid(model, run) <= tokens
    reported = sum(letters(r.text) for r in model.requests)
    assert reported <= tokens
    bounds = bounds_of(team)
    assert len(model.requests) <= bounds.calls * bounds.requests


@settings(max_examples=30, suppress_health_check=[HealthCheck.too_slow])
@given(adversary=ADVERSARIES, limits=LIMITS)
@example(Adversary(4, 12, "wide", ("new call",), "add", "changes"), Limits(sub_tasks=14, rounds=4, steps=3))
@example(Adversary(5, 6, "chain", ("honest",), "retry", "changes"), Limits(sub_tasks=14))
def test_without_any_budget_it_ends_within_the_bound_that_is_told(adversary: Adversary, limits: Limits) -> None:
    run, model, team = run_against(adversary, Budget(), limits)
    assert run.status in ("done", "failed", "limited", "interrupted")
    bounds = bounds_of(team)
    assert len(model.requests) <= bounds.calls * bounds.requests


@settings(max_examples=20, suppress_health_check=[HealthCheck.too_slow])
@given(adversary=ADVERSARIES, calls=st.integers(1, 30))
def test_model_calls_are_never_more_than_allowed(adversary: Adversary, calls: int) -> None:
    _, model, _ = run_against(adversary, Budget(model_calls=calls), Limits(sub_tasks=14, rounds=3, steps=4))
    assert len(model.requests) <= calls
