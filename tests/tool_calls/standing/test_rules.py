"""A standing rule allows what it says and no more: it overrules no refusal, and no risk that the policy keeps out."""

from pathlib import Path
from typing import Any

import pytest
from langchain_core.tools import BaseTool, tool

from orchestrator import Policy, Rule, declare
from orchestrator.reviews.questions import CallInQuestion, tool_review
from orchestrator.reviews.review import Review
from orchestrator.tool_calls.standing.rules import refusal, rule_words, rules_for
from orchestrator.tool_calls.standing.rules_file import RulesFile

OUTSIDE = ["page: look(name='x')"]
ARGS = {"to": "ada@example.org", "copies": 2}


def mailer(risk: Any = "write") -> BaseTool:
    @tool
    def mail(to: str, copies: int = 1, bcc: str = "") -> str:
        """Send mail."""
        return "sent"

    return declare(mail, risk=risk)


def review(risk: str = "write", tainted_by: list[str] | None = None) -> Review:
    call = CallInQuestion("a", "a-1", "c1", "mail", ARGS)
    return tool_review("t", call, risk, "once", tainted_by=tainted_by or ())


def action(
    policy: Policy, args: dict[str, Any] = ARGS, risk: str = "write", tainted_by: list[str] | None = None
) -> str:
    return policy.rule_on("clerk", mailer(risk), args, tainted_by or ()).action


def test_the_same_arguments_are_allowed_and_no_others() -> None:
    policy = Policy.of(rules_for(review(), "clerk")["same"])
    assert action(policy) == "allow"
    for other in ({**ARGS, "to": "ada@example.org.evil"}, {**ARGS, "bcc": "eve"}, {**ARGS, "copies": 22}):
        assert action(policy, other) == "ask"
    assert policy.rule_on("other", mailer(), ARGS).action == "ask"


def test_any_arguments_are_allowed_to_the_same_worker_only() -> None:
    policy = Policy.of(rules_for(review(), "clerk")["any"])
    assert action(policy, {"to": "eve"}) == "allow"
    assert policy.rule_on("other", mailer(), ARGS).action == "ask"


def test_a_rule_overrules_no_refusal_wherever_it_stands() -> None:
    standing = rules_for(review(), "clerk")["any"]
    refuse = Rule(action="refuse", tool="mail", args={"to": "evil"})
    for rules in ((standing, refuse), (refuse, standing)):
        assert action(Policy.of(*rules), {"to": "eve@evil.example"}) == "refuse"
        assert action(Policy.of(*rules)) == "allow"


@pytest.mark.parametrize("risk", ["execute", "spend"])
def test_a_high_risk_is_asked_about_each_time_unless_the_policy_says_so(risk: str) -> None:
    [*rules] = rules_for(review(risk), "clerk").values()
    assert "`always_allow = " in refusal(review(risk), Policy())
    assert action(Policy.of(*rules), risk=risk) == "ask"
    loose = Policy(rules=tuple(rules), always_allow=(risk,))  # type: ignore[arg-type]
    assert refusal(review(risk), loose) == ""
    assert action(loose, risk=risk) == "allow"


def test_a_worker_that_has_read_text_from_outside_is_asked_about_unless_the_policy_says_so() -> None:
    tainted = rules_for(review(tainted_by=OUTSIDE), "clerk")["any"]
    clean = rules_for(review(), "clerk")["any"]
    assert "always_allow_tainted" in refusal(review(tainted_by=OUTSIDE), Policy())
    assert action(Policy.of(tainted), tainted_by=OUTSIDE) == "ask"
    loose = {"always_allow_tainted": True}
    assert refusal(review(tainted_by=OUTSIDE), Policy(**loose)) == ""
    assert action(Policy(rules=(tainted,), **loose), tainted_by=OUTSIDE) == "allow"
    assert action(Policy(rules=(clean,), **loose), tainted_by=OUTSIDE) == "ask", (
        "that rule was made without taint in mind"
    )


def test_a_file_counts_from_the_moment_that_it_is_written_until_the_rule_is_taken_back(tmp_path: Path) -> None:
    file, rule = RulesFile(tmp_path / "rules.toml"), rules_for(review(), "clerk")["any"]
    policy = Policy.of(Rule(action="ask", tool="mail")).also_reading(file.path)
    assert action(policy) == "ask"
    file.add(rule, "ada")
    assert action(policy) == "allow"
    loaded = Policy.load(file.path)
    file.remove(0, rule)
    assert action(policy) == "ask"
    assert action(loaded) == "ask"
    file.path.write_text("no toml")
    assert action(policy) == "ask", "a file that cannot be read allows nothing"


def test_the_words_say_exactly_what_a_rule_allows() -> None:
    same, every = rules_for(review(), "clerk").values()
    assert rule_words(every) == (
        "the worker clerk may call the tool mail with any arguments without being asked, while the worker has read no "
        "text from outside"
    )
    assert 'with to = "ada@example.org", copies = "2" and no others without being asked' in rule_words(same)
    own = Rule(action="allow", standing=True, tool="mail", args={"to": r"@example\.org$"})
    assert r"with to that fits @example\.org$ without" in rule_words(own)


def test_a_name_that_looks_like_a_pattern_means_itself_only() -> None:
    [*rules] = rules_for(review(), "c*").values()
    assert not any(rule.fits("clerk", mailer(), ARGS, tainted=False) for rule in rules)
    assert all(rule.fits("c*", mailer(), ARGS, tainted=False) for rule in rules)


def test_only_what_a_policy_asks_about_can_be_allowed_for_ever() -> None:
    again = Review(id="t/tool-1", kind="tool", question="again?", subject={"tool": "mail", "args": {}})
    assert "only a tool call" in refusal(again, Policy())
