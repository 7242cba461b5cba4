"""Runs: the runs that the page has started or resumed, in the process of its server.

Invariants:
- A thread is durable before the page says that it has begun. A run that waits for a slot, or whose server is killed,
  can be resumed by any process.
- A thread has at most one run here. Against other processes its lease protects it.
"""

import asyncio
import atexit
import contextlib
import threading
import time
import weakref
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from orchestrator.background import BackgroundWork, run_in_background
from orchestrator.daemon_threads import in_own_thread
from orchestrator.errors import ConfigError, ModelChangedError, OrchestratorError, ThreadBusyError
from orchestrator.logs import logger
from orchestrator.redaction import redact
from orchestrator.runs.client import OrchestratorClient
from orchestrator.runs.interventions.cancellation import CancelResult
from orchestrator.runs.loading import TeamSource, open_orchestrator, open_thread
from orchestrator.runs.run import Run
from orchestrator.runs.task_orchestrator import TaskOrchestrator
from orchestrator.runs.thread_list import check_thread_id

Open = Callable[[], TaskOrchestrator]
MOST_AT_ONCE = 4
_MOST_FAILURES = 200  # that are remembered
_MOST_FORMS = 1000
_MOST_SEEN = 10_000
_END_S = 1.0  # for all runs together, when the server ends
_log = logger(__name__)


class _Begun(Exception):
    """Ends a run whose thread has just become durable."""


@dataclass
class _Work:
    """The run of one thread, from the click to its end.

    Args:
        state: `opening` while its team is loaded, `queued` while it waits for a slot, `running` afterwards.
        is_wanted_again: Something was decided while it ran, and it may have paused without seeing that.
        work: The coroutine on the background loop; None while it is opening.
    """

    state: Literal["opening", "queued", "running"] = "opening"
    is_wanted_again: bool = False
    work: BackgroundWork[None] | None = None


@dataclass
class _Once:
    """A form that begins a thread. A second click sends it again.

    Args:
        thread_id: The thread that it has begun; empty before.
        lock: Held while it begins one.
    """

    thread_id: str = ""
    lock: threading.Lock = field(default_factory=threading.Lock)


@dataclass(frozen=True)
class RunState:
    """The state of a thread's run in this process.

    Args:
        state: `queued`, `running`, or empty where no run of this server is on the thread.
        before: The number of runs that are queued before it.
        failure: Why its last run ended, if that was an error.
        other_model: The difference that a person has to agree to first; empty where the models are the same.
    """

    state: Literal["", "queued", "running"] = ""
    before: int = 0
    failure: str = ""
    other_model: str = ""


@dataclass(frozen=True)
class Task:
    """A task to begin.

    Args:
        text: The task.
        thread_id: Its thread, new or with earlier tasks.
        about: Facts that are recorded with the thread, as the options of `orchestrator run`.
        limits: Limits by name, as in `Budget`; the team's budget holds for the others.
        auto_approve: Let reviews pass without a human.
        is_next: Continue the conversation of a thread, with its team and model.
        allow_other_model: Go on with another model than the thread ran with.
    """

    text: str
    thread_id: str
    about: Mapping[str, Any] = field(default_factory=dict)
    limits: Mapping[str, Any] = field(default_factory=dict)
    auto_approve: bool = False
    is_next: bool = False
    allow_other_model: bool = False


class Runs:
    """The runs of one server.

    Args:
        db: The database, by path or URL; None for the one under the user's data folder.
        client: Looks at the threads.
        own: The user's own teams by name.
        most: The most runs at once. Others wait in the order in which they came.
    """

    def __init__(
        self,
        db: str | Path | None,
        client: OrchestratorClient,
        own: Mapping[str, TeamSource] | None = None,
        most: int = MOST_AT_ONCE,
    ) -> None:
        if most < 1:
            raise ConfigError("a server needs room for one run at least")
        self.own = dict(own or {})
        self._db = None if db is None else str(db)
        self._client = client
        self._lock = threading.Lock()
        self._works: OrderedDict[str, _Work] = OrderedDict()
        self._failures: OrderedDict[str, OrchestratorError | str] = OrderedDict()
        self._forms: OrderedDict[str, _Once] = OrderedDict()
        self._seen: OrderedDict[str, None] = OrderedDict()
        self._slots = asyncio.Semaphore(most)  # used on the background loop only
        self._is_closed = False
        self._is_registered = False

    def state(self, thread_id: str) -> RunState:
        """Return the state of a thread's run here."""
        with self._lock:
            failure = self._failures.get(thread_id, "")
            other = failure.difference if isinstance(failure, ModelChangedError) else ""
            told = "" if other else redact(str(failure))
            work = self._works.get(thread_id)
            if work is None:
                return RunState(failure=told, other_model=redact(other))
            if work.state == "running":
                return RunState("running")
            before = 0
            for name, each in self._works.items():
                if name == thread_id:
                    break
                before += each.state != "running"
            return RunState("queued", before)

    def queued(self) -> frozenset[str]:
        """Return the threads whose runs wait for a slot."""
        with self._lock:
            return frozenset(name for name, work in self._works.items() if work.state != "running")

    def begin_once(self, form: str, begin: Callable[[], str]) -> str:
        """Begin a thread unless this form has begun one already, and return the thread.

        Args:
            form: The key of the form.
            begin: Begins the thread.
        """
        with self._lock:
            once = self._forms.setdefault(form, _Once())
            self._forms.move_to_end(form)
            while len(self._forms) > _MOST_FORMS:
                self._forms.popitem(last=False)
        # The second click waits here for the first one, and then finds its thread.
        with once.lock:
            if not once.thread_id:
                once.thread_id = begin()
            return once.thread_id

    def begin(self, task: Task) -> None:
        """Begin a task. Its thread is durable when this returns, and its run starts as soon as there is a slot.

        Args:
            task: The task.

        Raises:
            ConfigError: A setting of the task is wrong, or the thread's last run is not finished.
            ModelError: The model cannot be used.
            ThreadBusyError: The thread is being run already.
        """
        check_thread_id(task.thread_id)
        with self._opening(task.thread_id) as work:
            if task.is_next:
                orchestrator = open_thread(self._db, task.thread_id, dict(task.about), self.own)
            else:
                orchestrator = open_orchestrator(self._db, dict(task.about), own=self.own)
            with _closing_on_error(orchestrator):
                self._make_durable(orchestrator, task)
                self._put(task.thread_id, work, orchestrator, {})

    def _make_durable(self, orchestrator: TaskOrchestrator, task: Task) -> None:
        # The thread is durable from then on, and waits for its slot without a lease: `resume` takes it up, here or in
        # another process if this one is killed.
        def stop(_: str) -> None:
            raise _Begun

        options: dict[str, Any] = {
            "thread_id": task.thread_id,
            "budget": orchestrator.team.budget.of_run(task.limits),
            "auto_approve": task.auto_approve,
            "allow_other_model": task.allow_other_model,
        }
        before, orchestrator.on_begin = orchestrator.on_begin, stop

        async def begun() -> None:
            with contextlib.suppress(_Begun):
                await orchestrator.arun(task.text, **options)

        run_in_background(begun)
        orchestrator.on_begin = before

    def resume(
        self,
        thread_id: str,
        *,
        limits: Mapping[str, Any] | None = None,
        allow_other_model: bool = False,
    ) -> None:
        """Continue a thread as soon as there is a slot. If it runs here already, it goes on after its next pause.

        Args:
            thread_id: The thread.
            limits: New limits by name, as in `Budget`.
            allow_other_model: Go on with another model than the thread ran with.

        Raises:
            UnknownThreadError: There is no such thread.
            ConfigError: The thread belongs to a team that is not here.
            ThreadBusyError: Another process runs the thread.
        """
        with self._lock:
            if (running := self._works.get(thread_id)) is not None and not limits:
                running.is_wanted_again = True
                return
        with self._opening(thread_id) as work:
            orchestrator = open_thread(self._db, thread_id, {}, self.own)
            with _closing_on_error(orchestrator):
                options = {"budget": dict(limits) if limits else None, "allow_other_model": allow_other_model}
                self._put(thread_id, work, orchestrator, options)

    def answered(self, thread_id: str) -> None:
        """Let a thread go on with an answer, if its last run was one of this server's. Call this after the decision.

        A failure is told on the thread's page: the answer itself has been taken.

        Args:
            thread_id: The thread.
        """
        with self._lock:
            if thread_id not in self._seen:
                return
        try:
            self.resume(thread_id)
        except ThreadBusyError:  # the process that runs it takes the answer
            return
        except OrchestratorError as error:
            self._fail(thread_id, error)

    @contextlib.contextmanager
    def _opening(self, thread_id: str) -> Iterator[_Work]:
        """Hold a thread's place, so that a second click finds it taken, and free it if the block fails."""
        work = _Work()
        with self._lock:
            if self._is_closed:
                raise ConfigError("this server is ending, and starts no further runs")
            if thread_id in self._works:
                raise ThreadBusyError(f"thread '{thread_id}' is already being run by this server")
            self._works[thread_id] = work
        try:
            # A lease that is taken after this look is an error of the run itself, which its page tells.
            if self._client.persistence.is_leased(thread_id):
                raise ThreadBusyError(
                    f"thread '{thread_id}' is being run by another process: cancel that run, or wait for its end"
                )
            yield work
        except BaseException:
            self._leave(thread_id, work)
            raise

    def _put(self, thread_id: str, work: _Work, orchestrator: TaskOrchestrator, options: dict[str, Any]) -> None:
        with self._lock:
            self._failures.pop(thread_id, None)
            work.state = "queued"
            self._seen[thread_id] = None
            while len(self._seen) > _MOST_SEEN:
                self._seen.popitem(last=False)
            work.work = BackgroundWork(lambda: self._run(thread_id, work, orchestrator, options))
            if not self._is_registered:
                # Now the loop exists, and its own hook is older and so runs later: runs end while their loop is there.
                self._is_registered, close = True, weakref.WeakMethod(self.close)
                atexit.register(lambda: (method := close()) and method())

    async def _run(self, thread_id: str, work: _Work, orchestrator: TaskOrchestrator, options: dict[str, Any]) -> None:
        try:
            async with self._slots:
                work.state = "running"
                run = await orchestrator.aresume(thread_id, **options)
                while not self._has_ended(thread_id, work, run):
                    run = await orchestrator.aresume(thread_id, **{**options, "budget": None})
        except OrchestratorError as error:
            self._fail(thread_id, error)
        except Exception as error:  # noqa: BLE001 - nobody waits for this coroutine; its thread's page tells the error
            _log.exception("the run of thread %s failed", thread_id)
            self._fail(thread_id, f"{type(error).__name__}: {error}")
        finally:
            self._leave(thread_id, work)
            if self._is_closed:  # Python 3.12 starts no thread any more while the process ends
                orchestrator.persistence.close()
            else:  # waits for traces that are on their way, and the loop serves other runs
                await in_own_thread(orchestrator.close)

    def _has_ended(self, thread_id: str, work: _Work, run: Run) -> bool:
        """True if a run is over here. Otherwise a decision came while it paused, and it goes on."""
        with self._lock:
            if work.is_wanted_again and run.status == "waiting":
                work.is_wanted_again = False
                return False
            # Under the same lock: who comes later finds no run here, and resumes the thread.
            self._works.pop(thread_id, None)
            return True

    def _fail(self, thread_id: str, failure: OrchestratorError | str) -> None:
        with self._lock:
            self._failures[thread_id] = failure
            while len(self._failures) > _MOST_FAILURES:
                self._failures.popitem(last=False)

    def _leave(self, thread_id: str, work: _Work) -> None:
        with self._lock:
            if self._works.get(thread_id) is work:  # another run may have taken the place
                del self._works[thread_id]

    def cancel(self, thread_id: str, by: str) -> CancelResult:
        """End the run of a thread, in whichever process it is, or take it out of the queue.

        Args:
            thread_id: The thread.
            by: The name of whoever gives the order.

        Raises:
            UnknownThreadError: There is no such thread.
        """
        return "cancelled" if self.cancel_queued(thread_id) else self._client.cancel(thread_id, by=by)

    def cancel_queued(self, thread_id: str) -> bool:
        """Take the run of a thread out of the queue; False if it is not there."""
        with self._lock:
            work = self._works.get(thread_id)
            background = work.work if work is not None and work.state == "queued" else None
        if work is None or background is None:
            return False
        # It may have got its slot meanwhile. Then it is cancelled as any run is, and stays resumable too.
        background.cancel()
        self._leave(thread_id, work)  # a coroutine that is cancelled before its first step leaves nothing by itself
        return True

    def forget(self, thread_id: str) -> None:
        """Forget why the last run of a thread ended."""
        with self._lock:
            self._failures.pop(thread_id, None)

    def close(self) -> None:
        """End all runs. Their threads can be resumed. Returns within about a second, whatever hangs."""
        with self._lock:
            self._is_closed = True
            works = [work.work for work in self._works.values() if work.work is not None]
        last = time.monotonic() + _END_S
        # All are told before any is waited for, so that the patience is for all of them together.
        for work in works:
            work.cancel(0)
        for work in works:
            work.cancel(max(0.0, last - time.monotonic()))


@contextlib.contextmanager
def _closing_on_error(orchestrator: TaskOrchestrator) -> Iterator[None]:
    try:
        yield
    except BaseException:
        orchestrator.close()
        raise
