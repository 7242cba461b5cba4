"""The rules that a human's "always allow this" can become, and the reasons why there may be none."""

import json
import re
from collections.abc import Mapping
from glob import escape
from typing import Any

from orchestrator.reviews.review import Review
from orchestrator.tool_calls.policy import Policy, Rule

_MOST_CHARS = 2000


def refusal(review: Review, policy: Policy) -> str:
    """Return why no rule may be made of a review; empty if one may.

    Args:
        review: The review.
        policy: The policy of its thread, as far as it is known.
    """
    subject = review.subject
    if review.kind != "tool" or "risk" not in subject:
        return "only a tool call that a policy asks about can be allowed for ever"
    if subject["risk"] not in policy.always_allow:
        return (
            f"the tool may {subject['risk']}, which is asked about each time; "
            f'`always_allow = ["{subject["risk"]}"]` in the policy changes that'
        )
    if subject.get("tainted_by") and not policy.always_allow_tainted:
        return (
            "the worker has read text from outside, which may have asked for the call; "
            "`always_allow_tainted = true` in the policy changes that"
        )
    return ""


def rules_for(review: Review, worker: str) -> dict[str, Rule]:
    """Return the rules to choose from: `same` for the same arguments only, `any` for all arguments.

    Args:
        review: The review of a tool call.
        worker: The worker that wants the call.
    """
    subject = review.subject
    common: dict[str, Any] = {
        "action": "allow",
        "standing": True,
        "worker": escape(worker),  # a name may hold what stands for other names in a rule
        "tool": escape(str(subject["tool"])),
    }
    if subject.get("tainted_by"):
        common["tainted"] = True
    args: Mapping[str, Any] = subject.get("args") or {}
    patterns = {name: rf"\A{re.escape(str(value))}\Z" for name, value in args.items()}
    rules = {"any": Rule(**common)}
    if sum(map(len, patterns.values())) <= _MOST_CHARS:
        rules = {"same": Rule(**common, args=patterns, no_other_args=True), **rules}
    return rules


def rule_words(rule: Rule) -> str:
    """Return exactly what a standing rule allows, as a sentence."""
    args = [_argument_words(name, pattern) for name, pattern in rule.args.items()]
    with_args = f" with {', '.join(args)}" if args else " with any arguments" if not rule.no_other_args else ""
    only = " and no others" if rule.no_other_args and args else " without arguments" if rule.no_other_args else ""
    tainted = (
        ", also after the worker has read text from outside"
        if rule.tainted
        else ", while the worker has read no text from outside"
    )
    who = "every worker" if rule.worker == "*" else f"the worker {rule.worker}"
    what = "any tool" if rule.tool == "*" else f"the tool {rule.tool}"
    return f"{who} may call {what}{with_args}{only} without being asked{tainted}"


def _argument_words(name: str, pattern: str) -> str:
    """Return what a rule wants of an argument: a text, as rules have it that are made here, or else the pattern."""
    inner = pattern[2:-2]
    text = re.sub(r"\\(.)", r"\1", inner, flags=re.DOTALL)
    if pattern == rf"\A{re.escape(text)}\Z":
        return f"{name} = {json.dumps(text, ensure_ascii=False)}"
    return f"{name} that fits {pattern}"
