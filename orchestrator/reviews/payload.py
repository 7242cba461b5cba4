"""A review as LangGraph's clients see it: the review itself, and the forms that other programs show.

A payload is a `HITLRequest` of LangChain's middleware, for the agent chat UI and its kin, and a `HumanInterrupt` of the
agent inbox. `orchestrator.reviews.answers` reads their answers.
"""

from typing import Any

from orchestrator.reviews.review import Review

# LangChain 1.4 and the agent inbox know no "stop".
_LANGCHAIN_TYPES = {"approve": "approve", "edit": "edit", "reject": "reject", "answer": "respond"}


def review_payload(review: Review, problem: str = "") -> dict[str, Any]:
    """Return the payload, JSON-plain.

    Args:
        review: The review.
        problem: Why an answer to it was refused.
    """
    name, args = proposal(review)
    description = "\n\n".join(part for part in (problem, review.question, review.stake) if part)
    own = review.model_dump(mode="json", exclude_defaults=True)
    return {
        **own,
        "allowed": list(review.allowed),
        **({"problem": problem} if problem else {}),
        "schema": review.answer_schema,
        # The agent inbox of 2026 reads `arguments`, LangChain 1.4 reads `args`.
        "action_requests": [{"name": name, "args": args, "arguments": args, "description": description}],
        "review_configs": [{"action_name": name, "allowed_decisions": langchain_types(review)}],
        "action_request": {"action": name, "args": args},
        "config": {
            "allow_accept": "approve" in review.allowed,
            "allow_edit": "edit" in review.allowed,
            "allow_respond": "answer" in review.allowed or "reject" in review.allowed,
            "allow_ignore": can_ignore(review),
        },
        "description": description,
    }


def langchain_types(review: Review) -> list[str]:
    """Return the types of LangChain's decisions that answer a review."""
    return [_LANGCHAIN_TYPES[action] for action in review.allowed if action in _LANGCHAIN_TYPES]


def can_ignore(review: Review) -> bool:
    """True if a human may ignore the review, so that its step is left out and the run goes on."""
    return review.kind in ("tool", "question") and "reject" in review.allowed


def proposal(review: Review) -> tuple[str, dict[str, Any]]:
    """Return the name of what an approval does, and its arguments, which an edit changes."""
    subject = review.subject
    match review.kind:
        case "plan":
            return "carry_out_plan", {"plan": subject.get("plan", [])}
        case "result":
            return "accept_result", {"result": subject.get("result", "")}
        case "tool":
            return str(subject.get("tool", "tool")), dict(subject.get("args") or {})
        case "question":
            return str(subject.get("tool", "question")), {"question": review.question}
    if "edit" in review.allowed:
        return "finish_run", dict(subject.get("budget") or {})
    return "finish_run", {"problems": list(subject.get("problems") or ())}
