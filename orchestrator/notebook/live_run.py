"""LiveRun: a run beside the cells of a notebook, with its progress and its reviews in the output of one cell."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

from orchestrator.errors import ConfigError
from orchestrator.events import Event, ReviewAsked, RunStarted
from orchestrator.notebook.progress import NotebookProgress, is_notebook
from orchestrator.notebook.prompt import ask_here
from orchestrator.notebook.review_forms import ReviewForms, has_widgets
from orchestrator.reviews.review import Action, Data, Decision, Review
from orchestrator.reviews.saved.instructions import Instruction
from orchestrator.runs.interventions.cancellation import CancelResult
from orchestrator.runs.run import Run
from orchestrator.runs.task_orchestrator import TaskOrchestrator


class LiveRun:
    """A run that works while other cells are executed.

    The cell that starts it shows its progress, and below it the open reviews with buttons, where `ipywidgets` is
    installed. A decision, by a button or by `decide`, lets a run that waits go on by itself.

    Args:
        orchestrator: Runs the tasks.
    """

    def __init__(self, orchestrator: TaskOrchestrator) -> None:
        self._orchestrator = orchestrator
        self._progress = NotebookProgress()
        self._forms: ReviewForms | None = None
        self._thread: threading.Thread | None = None
        # Buttons are pressed on another thread than the one that hears events.
        self._lock = threading.RLock()
        self._is_running = False
        self._open: dict[str, Review] = {}
        self._answered: set[str] = set()
        self._run: Run | None = None
        self._error: BaseException | None = None
        self._has_begun = threading.Event()
        self._thread_id = ""

    def start(self, original_task: str, **options: Any) -> None:
        """Begin to run a task, and return at once.

        Args:
            original_task: The task.
            options: As for `TaskOrchestrator.run`, except `on_event` and `on_review`.

        Raises:
            ConfigError: The run before has not ended.
        """
        with self._free():
            # The engine names the thread, and says so as its first event.
            self._thread_id = ""
            self._show(None)
            self._begin(partial(self._orchestrator.run, original_task, on_event=self._hear, **options))

    def resume(self, thread_id: str = "", **options: Any) -> None:
        """Go on with a thread, by default with that of this object, and return at once.

        Args:
            thread_id: The thread.
            options: As for `TaskOrchestrator.resume`, except `on_event` and `on_review`.

        Raises:
            ConfigError: The run before has not ended, or nothing was run yet.
            UnknownThreadError: There is no such thread.
        """
        with self._free():
            self._thread_id = thread_id or self.thread_id
            self._show(self._orchestrator.show(self._thread_id))
            self._go_on(**options)

    @contextmanager
    def _free(self) -> Iterator[None]:
        """Hold the lock while no run works.

        Raises:
            ConfigError: One does.
        """
        with self._lock:
            if self._is_running:
                raise ConfigError(f"thread '{self._thread_id}' is being run: wait() for it, or cancel() it")
            yield

    def _go_on(self, **options: Any) -> None:
        self._begin(partial(self._orchestrator.resume, self._thread_id, on_event=self._hear, **options))

    def _show(self, run: Run | None) -> None:
        """Draw in the output of this cell from now on, and leave those of earlier cells as they are."""
        self._progress = NotebookProgress(run)
        self._progress.show()
        if is_notebook() and has_widgets():
            from IPython.display import display

            self._forms = ReviewForms(lambda review, given: self.decide(review, given.action, given.text, given.data))
            display(self._forms.box)  # type: ignore[no-untyped-call]

    def _begin(self, call: Callable[[], Run]) -> None:
        """Call it on a thread of its own. The caller holds the lock."""
        self._is_running, self._run, self._error = True, None, None
        self._has_begun.clear()
        self._thread = threading.Thread(target=self._work, args=(call,), name="orchestrator-live-run", daemon=True)
        self._thread.start()

    def _work(self, call: Callable[[], Run]) -> None:
        try:
            while True:
                run = call()
                with self._lock:
                    # A decision that came when the run was about to pause was not seen by it any more.
                    if run.status != "waiting" or not any(review.id in self._answered for review in run.reviews):
                        self._end(run, None)
                        return
                call = partial(self._orchestrator.resume, run.thread_id, on_event=self._hear)
        except BaseException as error:  # noqa: BLE001 - raised again by `wait`, where a person sees it
            with self._lock:
                self._end(None, error)

    def _end(self, run: Run | None, error: BaseException | None) -> None:
        self._is_running, self._run, self._error = False, run, error
        # An answer from now on begins another run, and is not looked for by this one.
        self._answered.clear()
        if run is not None:
            self._thread_id = run.thread_id
        self._open = {review.id: review for review in run.reviews} if run is not None else {}
        self._progress.close(run, error)
        self._show_reviews()
        self._has_begun.set()

    def _hear(self, event: Event) -> None:
        self._progress(event)
        if isinstance(event, RunStarted):
            self._thread_id = event.thread_id
            self._has_begun.set()
        elif isinstance(event, ReviewAsked):
            with self._lock:
                self._open[event.review.id] = event.review
                self._show_reviews()

    def _show_reviews(self) -> None:
        if self._forms is not None:
            self._forms.show(self._open.values())

    @property
    def is_running(self) -> bool:
        """True while the run works."""
        return self._is_running

    @property
    def thread_id(self) -> str:
        """The thread.

        Raises:
            ConfigError: Nothing was run yet.
        """
        # A cell may ask for it right after `start`, before the engine has named the thread.
        if self._thread is not None:
            self._has_begun.wait()
        if not self._thread_id:
            raise ConfigError("nothing was run yet: start() a task, or resume() a thread")
        return self._thread_id

    @property
    def reviews(self) -> list[Review]:
        """The open reviews."""
        return self._orchestrator.reviews(self.thread_id)

    def wait(self, timeout_s: float | None = None) -> Run:
        """Return the run once it has ended, or waits for a decision. To interrupt the cell ends the waiting only.

        Args:
            timeout_s: Return after this many seconds all the same, with the state that the run then has.
        """
        if self._thread is not None:
            self._thread.join(timeout_s)
        with self._lock:
            run, error = self._run, self._error
        if error is not None:
            raise error
        return run if run is not None else self._orchestrator.show(self.thread_id)

    def decide(self, review: Review | str, action: Action, text: str = "", data: Data | None = None) -> Decision:
        """Answer a review as `OrchestratorClient.decide` does. A run that waits goes on.

        Args:
            review: The review, or its id.
            action: One of the review's allowed actions.
            text: Feedback or a new text, see `Decision`.
            data: New data, see `Decision`.

        Raises:
            DecisionError: The review is not open, or the decision does not answer it.
        """
        decision = self._orchestrator.decide(review, action, text, data)
        with self._lock:
            self._answered.add(decision.review_id)
            self._open.pop(decision.review_id, None)
            self._show_reviews()
            # A run that works notices the decision by itself, in its node or after its pause.
            if not self._is_running:
                self._thread_id = decision.review_id.rpartition("/")[0]
                self._go_on()
        return decision

    def ask(self) -> None:
        """Ask the open reviews in this cell, one after the other, as at a terminal. Enter leaves one open."""
        for review in self.reviews:
            if (given := ask_here(review)) is not None:
                self.decide(review, given.action, given.text, given.data)

    def steer(self, text: str) -> Instruction:
        """Give the run an instruction, as `OrchestratorClient.steer` does."""
        return self._orchestrator.steer(self.thread_id, text)

    def cancel(self) -> CancelResult:
        """End the run, as `OrchestratorClient.cancel` does. It can be resumed."""
        return self._orchestrator.cancel(self.thread_id)

    def __repr__(self) -> str:
        state = "running" if self._is_running else self._run.status if self._run is not None else "idle"
        return f"<LiveRun {self._thread_id or '(no thread)'}: {state}>"
