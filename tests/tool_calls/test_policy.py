"""The policy: who may call what unasked, as data."""

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from langchain_core.tools import BaseTool, tool

from orchestrator import Budget, Policy, Rule, Supervisor, TaskOrchestrator, Team, Worker, declare
from orchestrator.cli.main import main
from orchestrator.errors import ConfigError
from orchestrator.testing import TeamScript, call, say
from tests.support.teams import make_team, model_of, open_team, step, writer

OUTSIDE = ("t1: fetch(url='x')",)


def a_tool(name: str = "send", **said: Any) -> BaseTool:
    @tool(name)
    def made(text: str) -> str:
        """Does it."""
        return text

    return declare(made, **said) if said else made


def action(policy: Policy, made: BaseTool, args: Any = None, tainted: Any = (), worker: str = "coder") -> str:
    return policy.rule_on(worker, made, {"text": "x"} if args is None else args, tainted).action


def test_without_rules_reading_is_free_and_all_else_asks() -> None:
    for said, expected in (
        ({"risk": "read"}, "allow"),
        ({"risk": "write", "effect": "once"}, "ask"),
        ({"risk": "execute", "effect": "idempotent"}, "ask"),
        ({"risk": "spend"}, "ask"),
        ({"risk": "write", "effect": "idempotent", "contained": True}, "allow"),
        ({"risk": "write", "effect": "once", "contained": True}, "ask"),
        ({}, "ask"),
    ):
        ruling = Policy().rule_on("coder", a_tool(**said), {"text": "x"})
        assert (ruling.action, ruling.reason) == (expected, ""), said


def test_after_untrusted_text_all_but_reading_asks_and_names_the_source() -> None:
    contained = a_tool(risk="write", effect="idempotent", contained=True)
    ruling = Policy().rule_on("coder", contained, {}, OUTSIDE)
    assert ruling.action == "ask"
    assert OUTSIDE[0] in ruling.reason
    assert action(Policy(), a_tool(risk="read"), tainted=OUTSIDE) == "allow"


def test_the_first_rule_that_fits_decides() -> None:
    policy = Policy.of(
        Rule(action="refuse", tool="send", args={"text": "^secret"}),
        Rule(action="allow", worker="co*", tool="send", risk="write"),  # type: ignore[arg-type]
        Rule(action="refuse", worker="researcher"),
    )
    send = a_tool(risk="write", effect="once")
    assert action(policy, send, {"text": "secret plan"}) == "refuse"
    assert action(policy, send, {"text": "hello"}) == "allow"
    assert action(policy, send, {"text": "hello"}, worker="researcher") == "refuse"
    assert action(policy, send, {"text": "hello"}, worker="other") == "ask"


def test_a_rule_loosens_nothing_for_the_tainted_unless_it_says_so() -> None:
    send = a_tool(risk="write", effect="once")
    assert action(Policy.of(Rule(action="allow", tool="send")), send, tainted=OUTSIDE) == "ask"
    assert action(Policy.of(Rule(action="allow", tool="send", tainted=True)), send, tainted=OUTSIDE) == "allow"
    assert action(Policy.of(Rule(action="refuse", tainted=True)), send, tainted=OUTSIDE) == "refuse"
    assert action(Policy.of(Rule(action="refuse", tainted=True)), send) == "ask"


RULES = st.builds(
    Rule,
    action=st.sampled_from(["allow", "ask", "refuse"]),
    worker=st.sampled_from(["*", "coder", "res*"]),
    tool=st.sampled_from(["*", "send", "s?nd", "other"]),
    risk=st.lists(st.sampled_from(["read", "write", "execute", "spend"]), max_size=2).map(tuple),
    trust=st.sampled_from([None, "trusted", "untrusted"]),
    tainted=st.sampled_from([None, False]),
    args=st.sampled_from([{}, {"text": "x"}, {"text": "^y"}, {"missing": "."}]),
)


@given(st.lists(RULES, max_size=5), st.sampled_from(["write", "execute", "spend"]), st.booleans())
def test_no_rules_that_do_not_speak_of_taint_let_the_tainted_do_more_than_read(
    rules: list[Rule], risk: Any, contained: bool
) -> None:
    made = a_tool(risk=risk, effect="idempotent", contained=contained)
    assert action(Policy.of(*rules), made, tainted=OUTSIDE) != "allow"


def test_a_policy_is_read_from_toml(tmp_path: Path) -> None:
    file = tmp_path / "policy.toml"
    file.write_text(
        '[[rule]]\nworker = "coder"\ntool = "send"\nargs.text = "^draft"\naction = "allow"\n\n'
        '[[rule]]\nrisk = ["write", "spend"]\naction = "refuse"\nreason = "not this week"\n'
    )
    policy = Policy.load(file)
    send = a_tool(risk="write", effect="once")
    assert action(policy, send, {"text": "draft 1"}) == "allow"
    assert policy.rule_on("coder", send, {"text": "final"}).reason == "not this week"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[[rule]", "is not TOML"),
        ('[[rule]]\naction = "maybe"', "rule.0.action"),
        ('[[rule]]\naction = "ask"\nworkers = "x"', "rule.0.workers"),
        ('[[rule]]\ntool = "x"', "rule.0.action"),
        ('[[rule]]\naction = "ask"\nargs.text = "["', "no regular expression"),
        ('[[rules]]\naction = "ask"', "rules"),
        ('[[rule]]\naction = "ask"\nrisk = "huge"', "rule.0.risk"),
    ],
)
def test_a_policy_that_is_none_is_refused_by_name(tmp_path: Path, text: str, said: str) -> None:
    file = tmp_path / "policy.toml"
    file.write_text(text)
    with pytest.raises(ConfigError, match=said.replace(".", r"\.")):
        Policy.load(file)
    with pytest.raises(ConfigError, match="cannot read the policy"):
        Policy.load(tmp_path / "nowhere.toml")


@pytest.mark.parametrize(
    ("rule", "names"),
    [({"worker": "coddr"}, "coder, writer"), ({"tool": "snd"}, "post, send"), ({"tool": "s"}, "post, send")],
)
def test_a_misspelt_rule_is_refused_with_the_names_that_exist(rule: dict[str, str], names: str) -> None:
    workers = [Worker("writer", "You write."), Worker("coder", "You code.", tools=[a_tool(), a_tool("post")])]
    with pytest.raises(ConfigError, match=f"; there is {names}$"):
        Team(Supervisor(), workers, policy=Policy.of(Rule(action="refuse", **rule)))  # type: ignore[arg-type]


def test_in_a_team_without_tools_only_a_rule_for_all_tools_is_taken() -> None:
    workers = [Worker("coder", "You code.")]
    assert Team(Supervisor(), workers, policy=Policy.of(Rule(action="refuse", worker="co*"))).policy.rules
    with pytest.raises(ConfigError, match=r"names a tool 'send'; there is none$"):
        Team(Supervisor(), workers, policy=Policy.of(Rule(action="refuse", tool="send")))


def test_a_refused_call_is_not_made_and_its_agent_is_told_why(tmp_path: Path) -> None:
    effects: list[str] = []
    script = TeamScript([step("a", agent="tooled")], results={"a": [call("write", text="one"), say("did without")]})
    with open_team(script, tmp_path / "x.db", writer(effects)) as team:
        team.team.use_policy(Policy.of(Rule(action="refuse", tool="write", reason="not on a Sunday")))
        from orchestrator.graph.build import compile_graph

        team.graph = compile_graph(team.team, checkpointer=team.persistence.checkpointer, store=team.persistence.store)
        run = team.run("go", auto_approve=True)
        assert run.status == "done"
        assert effects == []
        assert any("not on a Sunday" in request.text for request in model_of(team).requests)


def test_the_listing_says_who_may_do_what(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    import json

    (tmp_path / "listed_team.py").write_text(
        "from orchestrator import Supervisor, Team, Worker\n"
        "def guess(text: str) -> str:\n    '''Guesses.'''\n    return text\n"
        "team = Team(Supervisor(), [Worker('clerk', 'You guess.', tools=[guess])])\n"
    )
    (tmp_path / "policy.toml").write_text('[[rule]]\nworker = "clerk"\naction = "allow"\n')
    monkeypatch.chdir(tmp_path)

    def listed(*more: str) -> Any:
        with pytest.raises(SystemExit) as ended:
            main(["tools", "--team", "listed_team:team", "--json", *more])
        assert not ended.value.code
        return json.loads(capsys.readouterr().out)[0]

    assert {**listed(), "about": ""} == {
        "worker": "clerk",
        "tool": "guess",
        "about": "",
        "risk": "write",
        "effect": "once",
        "returns": "untrusted",
        "contained": False,
        "backend": "",
        "unasked": "ask",
        "after_untrusted": "ask",
    }
    assert (listed("--policy", "policy.toml")["unasked"], listed("--policy", "policy.toml")["after_untrusted"]) == (
        "allow",
        "ask",
    )
    with pytest.raises(SystemExit):
        main(["tools"])
    shown = capsys.readouterr().out
    assert "search_documents" in shown
    assert "reviewer has no tools" in shown


def test_a_team_keeps_its_policy() -> None:
    assert make_team(TeamScript([step("a")])).policy == Policy()


def test_a_rule_may_depend_on_how_much_of_the_budget_is_used() -> None:
    rule = Rule(action="refuse", tool="send", budget_used=0.5, reason="too little is left for it")
    cheap = a_tool(risk="read")
    assert Policy.of(rule).rule_on("coder", cheap, {"text": "x"}, used_share=0.4).action == "allow"
    assert Policy.of(rule).rule_on("coder", cheap, {"text": "x"}, used_share=0.5).action == "refuse"


def test_in_a_run_the_budget_that_is_used_is_what_the_ledger_says() -> None:
    said: list[str] = []

    @tool
    def look(at: int) -> str:
        """Looks."""
        said.append(str(at))
        return f"{at} is empty"

    script = TeamScript(
        [step("a", agent="tooled")], results={"a": [call("look", at=1), call("look", at=2), say("done")]}
    )
    team = make_team(script, declare(look, risk="read"))
    team.use_policy(Policy.of(Rule(action="refuse", tool="look", budget_used=0.25)))
    with TaskOrchestrator(team=team, db="memory://", budget=Budget(model_calls=10)) as orchestrator:
        run = orchestrator.run("sum up", auto_approve=True)
    assert run.status == "done"
    assert said == ["1"], "two of ten calls were made before the first look, three before the second"
