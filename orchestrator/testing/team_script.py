"""TeamScript: the script of a whole run, in terms of the plan."""

import re
import threading
from collections.abc import Mapping, Sequence
from typing import Any

from orchestrator.testing.script import Reply, Request, UnscriptedCallError, say, structure

Said = str | Reply
_SUB_TASK = re.compile(r"^Sub-task ([\w-]+)(?: \(attempt (\d+)\))?: ", re.M)
_FINAL = "Write the final answer"
_ONLY_INSTRUCTED = "The plan, all of which is done:"


class TeamScript:
    """A script for the requests of the supervisor and the workers of one run.

    Args:
        plan: The sub-tasks of the plan, as dicts; or several plans, for one request after the other.
        results: By sub-task id, the reply of its worker, or a list with a reply for each step. The key of a later
            attempt is `(id, attempt)`. A sub-task without an entry gets `result of <id>`.
        verdicts: By sub-task id, the verdict of a reviewer as a dict, or a list with one for each attempt.
        revisions: The revisions of the supervisor, in order. Without one, a plan stands when only an instruction came.
        outputs: By sub-task id, the data of its result where the sub-task has an `output_schema`; or a reply.
        summary: The answer. For an answer of an output type, its data: anything but a text or a reply.

    The request alone decides the reply, except for lists of plans, verdicts and revisions. A run that another process
    resumes gets the same replies as in the first process.
    """

    def __init__(
        self,
        plan: Sequence[Mapping[str, Any]] | Sequence[Sequence[Mapping[str, Any]]],
        *,
        results: Mapping[Any, Said | Sequence[Said]] | None = None,
        verdicts: Mapping[str, Mapping[str, Any] | Sequence[Mapping[str, Any]]] | None = None,
        revisions: Sequence[Mapping[str, Any]] = (),
        outputs: Mapping[str, Any] | None = None,
        summary: Any = "the answer",
    ) -> None:
        several = bool(plan) and not isinstance(plan[0], Mapping)
        self._plans: list[Any] = list(plan) if several else [plan]
        self._results = dict(results or {})
        self._verdicts = {k: [v] if isinstance(v, Mapping) else list(v) for k, v in (verdicts or {}).items()}
        self._revisions = list(revisions)
        self._outputs = dict(outputs or {})
        self._summary = summary
        self._lock = threading.Lock()

    def __call__(self, request: Request) -> Reply:
        """Return the reply to a request."""
        match request.title:
            case "Plan":
                return structure({"sub_tasks": list(self._next(self._plans))})
            case "Revision":
                if not self._revisions and _ONLY_INSTRUCTED in request.last_user:
                    return structure({"reason": "the results suffice", "decision": "finish", "changes": []})
                if not self._revisions:
                    raise UnscriptedCallError(f"no revision is scripted for:\n{request.last_user}")
                return structure(self._revisions.pop(0))
            case "Verdict":
                return structure(self._verdict(request))
        if _FINAL in request.last_user:
            is_data = not isinstance(self._summary, (str, Reply))
            return _typed(self._summary) if is_data else _reply(self._summary)
        if request.title == "Answer":
            task_id, _ = _sub_task(request)
            if task_id not in self._outputs:
                raise UnscriptedCallError(f"no output is scripted for {task_id}:\n{request.text[-800:]}")
            return _typed(self._outputs[task_id])
        return self._work(request)

    def _next(self, rest: list[Any]) -> Any:
        with self._lock:
            return rest.pop(0) if len(rest) > 1 else rest[0]

    def _verdict(self, request: Request) -> Mapping[str, Any]:
        task_id, _ = _sub_task(request)
        if task_id not in self._verdicts:
            return {"reason": "it is right", "verdict": "accept", "sub_task_id": ""}
        verdict: Mapping[str, Any] = self._next(self._verdicts[task_id])
        return verdict

    def _work(self, request: Request) -> Reply:
        task_id, attempt = _sub_task(request)
        said: Any = self._results.get((task_id, attempt), self._results.get(task_id, f"result of {task_id}"))
        if isinstance(said, (str, Reply)):
            return _reply(said)
        if request.step >= len(said):
            raise UnscriptedCallError(f"{task_id} has no reply for its step {request.step + 1}:\n{request.text[-800:]}")
        return _reply(said[request.step])


def _sub_task(request: Request) -> tuple[str, int]:
    users = [text for role, text in request.messages if role == "user"]
    headings = [match for text in users for match in _SUB_TASK.finditer(text)]
    if not headings:
        raise UnscriptedCallError(f"this is no request of an orchestrated run:\n{request.text[-800:]}")
    # The first message of a worker ends with its own sub-task.
    return headings[-1].group(1), int(headings[-1].group(2) or 1)


def _typed(data: Any) -> Reply:
    if isinstance(data, Reply):
        return data
    return structure({"missing": [], "references": [], "answer": data})


def _reply(said: Said) -> Reply:
    return say(said) if isinstance(said, str) else said
