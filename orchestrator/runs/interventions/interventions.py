"""Interventions: what a human does to a run that goes on, from any process."""

import getpass

from orchestrator.background import run_in_background
from orchestrator.persistence.database import Persistence
from orchestrator.runs.interventions.cancellation import CancelResult, cancel_run
from orchestrator.runs.thread_states import ThreadStates


class Interventions:
    """The part of `OrchestratorClient` that reaches into running threads."""

    persistence: Persistence
    _states: ThreadStates

    def cancel(self, thread_id: str) -> CancelResult:
        """End the run of a thread, in whichever process it is. The thread can be resumed.

        The run ends within two seconds: requests to models, asynchronous tools and waits are cancelled, and blocking
        tools go on unattended. `run` and the like return a `Run` with status `interrupted`. What is finished stays.

        Args:
            thread_id: The thread.

        Returns:
            `cancelled`; `not running`, if nothing ran or the run had just ended by itself; `asked`, if the run has not
            ended within ten seconds. It then ends as soon as it can.

        Raises:
            UnknownThreadError: There is no such thread.
        """
        return run_in_background(lambda: self.acancel(thread_id))

    async def acancel(self, thread_id: str) -> CancelResult:
        """Async twin of `cancel`."""
        await self._states.record(thread_id)
        return await cancel_run(self.persistence, thread_id, user_name())


def user_name() -> str:
    """Return the name of the user whose process this is; empty where the system has none, as in some containers."""
    try:
        return getpass.getuser()
    except (OSError, KeyError):  # KeyError: Python before 3.13
        return ""
