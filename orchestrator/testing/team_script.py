"""TeamScript: the script of a whole run, said in terms of the plan."""

import re
import threading
from collections.abc import Mapping, Sequence
from typing import Any

from orchestrator.testing.script import Reply, Request, UnscriptedCallError, say, structure

Said = str | Reply
_SUB_TASK = re.compile(r"^Sub-task ([\w-]+)(?: \(attempt (\d+)\))?: ", re.M)
_FINAL = "Write the final answer"


class TeamScript:
    """Answers the supervisor's and the workers' requests of one run.

    Args:
        plan: The sub-tasks that the planner gives, as dicts; or several plans, given one after the other.
        results: What the worker of a sub-task says: one reply, or a list of replies, one for each of its steps. For
            later attempts the key is `(id, attempt)`. A sub-task that is not named says `result of <id>`.
        verdicts: What reviewers say by sub-task id, as dicts; a list gives one for each attempt at the review.
        revisions: The supervisor's revisions, in order.
        summary: The answer.

    Which reply comes is decided by the request alone, except for lists of plans, verdicts and revisions. So a run
    that is resumed in another process gets the replies that it would have got in the first.
    """

    def __init__(
        self,
        plan: Sequence[Mapping[str, Any]] | Sequence[Sequence[Mapping[str, Any]]],
        *,
        results: Mapping[Any, Said | Sequence[Said]] | None = None,
        verdicts: Mapping[str, Mapping[str, Any] | Sequence[Mapping[str, Any]]] | None = None,
        revisions: Sequence[Mapping[str, Any]] = (),
        summary: Said = "the answer",
    ) -> None:
        several = bool(plan) and not isinstance(plan[0], Mapping)
        self._plans: list[Any] = list(plan) if several else [plan]
        self._results = dict(results or {})
        self._verdicts = {k: [v] if isinstance(v, Mapping) else list(v) for k, v in (verdicts or {}).items()}
        self._revisions = list(revisions)
        self._summary = summary
        self._lock = threading.Lock()

    def __call__(self, request: Request) -> Reply:
        """The reply to a request."""
        match request.title:
            case "Plan":
                return structure({"sub_tasks": list(self._next(self._plans))})
            case "Revision":
                if not self._revisions:
                    raise UnscriptedCallError(f"no revision is scripted for:\n{request.last_user}")
                return structure(self._revisions.pop(0))
            case "Verdict":
                return structure(self._verdict(request))
        if _FINAL in request.last_user:
            return _reply(self._summary)
        return self._work(request)

    def _next(self, rest: list[Any]) -> Any:
        with self._lock:
            return rest.pop(0) if len(rest) > 1 else rest[0]

    def _verdict(self, request: Request) -> Mapping[str, Any]:
        task_id, _ = _sub_task(request)
        if task_id not in self._verdicts:
            return {"reason": "it is right", "verdict": "accept", "sub_task_id": ""}
        found: Mapping[str, Any] = self._next(self._verdicts[task_id])
        return found

    def _work(self, request: Request) -> Reply:
        task_id, attempt = _sub_task(request)
        said: Any = self._results.get((task_id, attempt), self._results.get(task_id, f"result of {task_id}"))
        if isinstance(said, (str, Reply)):
            return _reply(said)
        if request.step >= len(said):
            raise UnscriptedCallError(f"{task_id} has no reply for its step {request.step + 1}:\n{request.text[-800:]}")
        return _reply(said[request.step])


def _sub_task(request: Request) -> tuple[str, int]:
    found = [match for role, text in request.messages if role == "user" for match in _SUB_TASK.finditer(text)]
    if not found:
        raise UnscriptedCallError(f"this is no request of an orchestrated run:\n{request.text[-800:]}")
    return found[-1].group(1), int(found[-1].group(2) or 1)


def _reply(said: Said) -> Reply:
    return say(said) if isinstance(said, str) else said
