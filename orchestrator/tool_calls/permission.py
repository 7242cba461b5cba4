"""Permission for a tool call: the policy's ruling, and a human's decision where the policy asks for one."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast

from langchain_core.messages import AIMessage, BaseMessage, ToolCall
from langchain_core.tools import BaseTool

from orchestrator.concurrency import Bridge
from orchestrator.events import ToolRefused
from orchestrator.logs import logger
from orchestrator.reviews.decisions import ask_unless_stopped
from orchestrator.reviews.questions import CallInQuestion, tool_review
from orchestrator.reviews.review import Decision
from orchestrator.tool_calls.declaration import args_schema_of, effect_of, is_contained, risk_of, says_its_risk, sent_by
from orchestrator.tool_calls.policy import Ruling
from orchestrator.tool_calls.worker_context import WorkerContext
from orchestrator.trust import tainted_by

_log = logger(__name__)


@dataclass(frozen=True)
class Permission:
    """The answer to a worker that wants to call a tool.

    Args:
        args: The arguments to call with; None if the call is not allowed.
        refusal: The reason for the worker why the call is not allowed; empty if it is.
        is_stop: True if a human stopped the run.
    """

    args: Mapping[str, Any] | None = None
    refusal: str = ""
    is_stop: bool = False


@dataclass(frozen=True)
class PermissionRequest:
    """One call for which a worker needs permission.

    Args:
        bridge: How to reach the store.
        context: The surroundings of the attempt.
        tool: The tool.
        call: The call.
        identity: See `call_identity`.
        messages: The conversation up to the call.
    """

    bridge: Bridge
    context: WorkerContext
    tool: BaseTool
    call: ToolCall
    identity: str
    messages: list[BaseMessage]

    async def ask(self) -> Permission:
        """Return the permission, or interrupt the graph until a human has decided.

        Raises:
            GraphInterrupt: A human must decide first.
        """
        tainted = tainted_by(self.messages)
        ruling = self._ruling(tainted)
        if ruling.action == "allow":
            return Permission(self.call["args"])
        if ruling.action == "refuse":
            why = f"the policy does not allow this call: {ruling.reason or 'no reason given'}"
            self._emit_refusal(why)
            return Permission(refusal=f"{why}. Do without")
        decision = await self._decision(ruling, tainted)
        return permission_of(decision, self.call, is_automatic=self.context.oversight.auto_approve)

    def _ruling(self, tainted: tuple[str, ...]) -> Ruling:
        sent = sent_by(self.tool, self.call["args"])
        # Without the model's own messages: it could have made the text up there and sent it afterwards.
        inputs = (message for message in self.messages if not isinstance(message, AIMessage))
        return self.context.oversight.policy.rule_on(
            self.context.actor.agent,
            self.tool,
            self.call["args"],
            tainted,
            sends_unseen=bool(sent) and not any(sent in message.text for message in inputs),
            used_share=self.context.allowance.used_share,
        )

    async def _decision(self, ruling: Ruling, tainted: tuple[str, ...]) -> Decision:
        actor, oversight = self.context.actor, self.context.oversight
        review = tool_review(
            actor.thread_id,
            CallInQuestion(
                actor.sub_task_id, actor.key, self.identity, self.tool.name, self.call["args"], actor.task_number
            ),
            risk_of(self.tool),
            effect_of(self.tool),
            ruling.reason,
            tainted,
            None if oversight.auto_approve or oversight.unattended else args_schema_of(self.tool),
        )
        # A user who approves everything in advance has not seen what a text from outside asks for. A tool without a
        # declaration is the user's own function: the user knows better than the unsafe defaults what it does.
        if oversight.auto_approve and (not tainted or is_contained(self.tool) or not says_its_risk(self.tool)):
            return Decision(review_id=review.id, action="approve")
        if oversight.auto_approve:
            why = (
                f"the worker has read text from outside ({'; '.join(tainted)}) and nobody is there to ask; "
                "a rule with tainted = true allows it"
            )
            self._emit_refusal(why)
            return Decision(review_id=review.id, action="reject", text=why)
        if oversight.unattended:
            return Decision(review_id=review.id, action="reject", text="there is nobody here to ask")
        return await ask_unless_stopped(self.bridge, oversight.store, review, oversight.parking)

    def _emit_refusal(self, why: str) -> None:
        actor = self.context.actor
        _log.warning("thread %s: sub-task %s may not call '%s'", actor.thread_id, actor.sub_task_id, self.tool.name)
        self.context.emit(ToolRefused(self.context.actor.sub_task_id, self.tool.name, why))


def permission_of(decision: Decision, call: ToolCall, *, is_automatic: bool) -> Permission:
    """Return the permission that a decision gives or refuses.

    Args:
        decision: The decision about the call.
        call: The call.
        is_automatic: True if the run decides by itself, and no human does.
    """
    if decision.action == "stop":
        return Permission(is_stop=True)
    if decision.action == "reject":
        reason = decision.text.strip() or "no reason given"
        who = "this run does" if is_automatic else "a human did"
        return Permission(refusal=f"{who} not allow this call: {reason}. Go on without it")
    if decision.action == "edit":
        return Permission(dict(cast(dict[str, Any], decision.data)))  # `check_decision` takes nothing else
    return Permission(call["args"])
