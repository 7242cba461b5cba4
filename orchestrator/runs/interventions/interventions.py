"""Interventions: what a human does to a run that goes on, from any process."""

import getpass

from orchestrator.background import run_in_background
from orchestrator.concurrency import AWAITING
from orchestrator.errors import ConfigError, PersistenceError
from orchestrator.persistence.database import Persistence
from orchestrator.reviews.instructions import check_instruction, record_instruction
from orchestrator.reviews.saved.instructions import Instruction
from orchestrator.runs.interventions.cancellation import CancelResult, cancel_run
from orchestrator.runs.thread_states import ThreadStates


class Interventions:
    """The part of `OrchestratorClient` that reaches into running threads."""

    persistence: Persistence
    _states: ThreadStates

    def cancel(self, thread_id: str, *, by: str | None = None) -> CancelResult:
        """End the run of a thread, in whichever process it is. The thread can be resumed.

        The run ends within two seconds: requests to models, asynchronous tools and waits are cancelled, and blocking
        tools go on unattended. `run` and the like return a `Run` with status `interrupted`. `invoke` and the like of a
        bare graph raise LangGraph's `GraphDrained`. What is finished stays.

        Args:
            thread_id: The thread.
            by: The name of whoever gives the order; None for the user of this process.

        Returns:
            `cancelled`; `not running`, if nothing ran or the run had just ended by itself; `asked`, if the run has not
            ended within ten seconds. It then ends as soon as it can.

        Raises:
            UnknownThreadError: There is no such thread.
        """
        return run_in_background(lambda: self.acancel(thread_id, by=by))

    async def acancel(self, thread_id: str, *, by: str | None = None) -> CancelResult:
        """Async twin of `cancel`."""
        await self._states.record(thread_id)
        if not self.persistence.is_leased(thread_id) and await self._is_over(thread_id):
            return "not running"
        return await cancel_run(self.persistence, thread_id, user_name() if by is None else by)

    async def _is_over(self, thread_id: str) -> bool:
        """True if no run can be going on. A thread that cannot be read may have one."""
        try:
            snapshot = await self._states.snapshot(thread_id)
        except PersistenceError:
            return False
        # The tasks of a graph around a team are not seen here, and it has no phase.
        return not snapshot.tasks and snapshot.values.get("phase") == "end"

    def steer(self, thread_id: str, text: str, *, by: str | None = None) -> Instruction:
        """Give an instruction to a run that goes on, or that is to be resumed, from any process.

        Every model call of the run's workers and supervisor that begins later sees the instruction. It is a human's
        word, so it is trusted. It ends nothing, and what is finished does not run again because of it.

        Args:
            thread_id: The thread.
            text: The instruction, of 4,000 characters at most.
            by: The name of whoever gives it; None for the user of this process.

        Raises:
            UnknownThreadError: There is no such thread.
            ConfigError: The text is empty or too long, or the thread's last run has ended.
        """
        return run_in_background(lambda: self.asteer(thread_id, text, by=by))

    async def asteer(self, thread_id: str, text: str, *, by: str | None = None) -> Instruction:
        """Async twin of `steer`."""
        await self._states.record(thread_id)
        checked = check_instruction(text)
        if not self.persistence.is_leased(thread_id):
            run = await self._states.run_of(thread_id)
            if not run.is_resumable and run.limited_by != "budget":
                raise ConfigError(
                    f"thread '{thread_id}' is {run.status}, and no step is left to see an instruction: run another "
                    "task on it"
                )
        name = user_name() if by is None else by
        return await record_instruction(AWAITING, self.persistence.store, thread_id, checked, name)


def user_name() -> str:
    """Return the name of the user whose process this is; empty where the system has none, as in some containers."""
    try:
        return getpass.getuser()
    except (OSError, KeyError):  # KeyError: Python before 3.13
        return ""
