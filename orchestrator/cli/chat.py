"""`orchestrator chat`: one task after the other on one thread."""

import sys
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any

import typer

from orchestrator.cli.echo import command, echo
from orchestrator.cli.interruption import CTRL_C
from orchestrator.cli.options import (
    AutoApprove,
    BaseUrl,
    Db,
    Docs,
    MaxCalls,
    MaxCost,
    MaxTime,
    MaxTokens,
    McpFile,
    ModelName,
    PolicyFile,
    Price,
    TeamName,
    budget_of,
    team_settings,
)
from orchestrator.cli.threads.commands import continued_thread, stated
from orchestrator.errors import EXIT_DONE, OrchestratorError, UnknownThreadError
from orchestrator.runs.defaults import DEFAULT_TEAM

if TYPE_CHECKING:
    from orchestrator.runs.run import Run
    from orchestrator.runs.task_orchestrator import TaskOrchestrator

ChatThread = Annotated[
    str | None,
    typer.Option(
        "--thread",
        help="The thread: one to continue ('last' is the newest), or the name of a new one.",
        show_default="a new one, from the first task's words",
    ),
]
_HELP = """\
Type a task and press Enter. The next one may refer to it.
/show    the thread: its tasks, plan, outcomes and answer
/resume  go on with a task that waits for you or was interrupted
/quit    end, as Ctrl-D does; the thread is kept
Ctrl-C   interrupts the task that runs
A line that begins with a space is a task, whatever follows it."""
_PROMPT = "> "


def chat(
    context: typer.Context,
    thread: ChatThread = None,
    team: TeamName = DEFAULT_TEAM,
    model: ModelName = None,
    base_url: BaseUrl = None,
    db: Db = None,
    docs: Docs = None,
    policy: PolicyFile = None,
    mcp: McpFile = None,
    auto_approve: AutoApprove = False,
    max_tokens: MaxTokens = None,
    max_cost: MaxCost = None,
    max_time: MaxTime = None,
    max_calls: MaxCalls = None,
    price: Price = None,
) -> None:
    """Give one task after the other on one thread.

    Each task knows those before. Limits hold for each task.
    """
    from orchestrator.cli.attend import can_ask
    from orchestrator.cli.models.consent import may_use_other_model
    from orchestrator.runs.loading import open_orchestrator, open_thread

    limits = budget_of(max_tokens, max_cost, max_time, max_calls, price)
    about = team_settings(team, model, base_url, docs, policy, mcp)
    name = continued_thread(db, thread) if thread is not None else ""
    try:
        orchestrator = open_thread(db, name, stated(context, about)) if name else open_orchestrator(db, about)
    except UnknownThreadError:
        orchestrator = open_orchestrator(db, about)
    with orchestrator:
        is_allowed = False
        if name:
            words = ["chat", "--thread", name]
            is_allowed = may_use_other_model(orchestrator, name, stated(context, about), words, db=db, asks=can_ask())
        conversation = _Chat(orchestrator, name, limits, db, auto_approve=auto_approve, allow_other_model=is_allowed)
        raise typer.Exit(conversation.talk())


class _Chat:
    """The loop: read a line, run it as a task or a command, print the answer.

    Args:
        orchestrator: The orchestrator.
        thread_id: The thread; empty until the first task names it.
        limits: Limits of each task.
        db: The database as the user named it.
        auto_approve: Ask no human.
        allow_other_model: A person has agreed to another model than the thread ran with.
    """

    def __init__(
        self,
        orchestrator: "TaskOrchestrator",
        thread_id: str,
        limits: dict[str, Any],
        db: str | None,
        *,
        auto_approve: bool,
        allow_other_model: bool,
    ) -> None:
        from orchestrator.cli.attend import can_ask

        self._orchestrator = orchestrator
        self._thread_id = thread_id
        self._limits = limits
        self._db = db
        self._auto_approve = auto_approve
        self._allow_other_model = allow_other_model
        self._is_attended = can_ask()
        self._exit_code = EXIT_DONE

    def talk(self) -> int:
        """Return the exit code once there is no more line: that of the last task that did not end well."""
        from orchestrator.cli.attend import print_model

        print_model(self._orchestrator)
        self._tell_after_ctrl_c()
        if self._is_attended:
            echo("/help tells the commands, Ctrl-D ends", err=True)
        while (line := self._read()) is not None:
            word = line.strip()
            if line.startswith("/") and not self._obey(word):
                break
            if word and not line.startswith("/"):
                self._run(word)
            if self._exit_code and not self._is_attended:
                break  # the next line was meant for a conversation that went well
        if self._thread_id:
            echo(f"go on with: {command('chat', '--thread', self._thread_id, db=self._db)}", err=True)
        return EXIT_DONE if self._is_attended else self._exit_code

    def _tell_after_ctrl_c(self) -> None:
        """Let Ctrl-C name this command, should it have to end the conversation too."""

        def way_on() -> str:
            thread_id = self._thread_id
            return f"go on with: {command('chat', '--thread', thread_id, db=self._db)}" if thread_id else ""

        CTRL_C.way_on = way_on

    def _read(self) -> str | None:
        """Return the next line, or None at the end of the input."""
        while True:
            try:
                if not self._is_attended:
                    line = sys.stdin.readline()
                    return line.rstrip("\n") if line else None
                if sys.stdout.isatty():
                    import readline  # noqa: F401 - gives `input` its history and its line editing

                    return input(_PROMPT)
                # `input` would write the prompt to stdout, which is for the answers.
                typer.echo(_PROMPT, nl=False, err=True)
                return input()
            except EOFError:
                echo("", err=True)
                return None
            except KeyboardInterrupt:
                if not self._is_attended:
                    raise
                echo("\n/quit or Ctrl-D ends", err=True)
                CTRL_C.settle()

    def _obey(self, word: str) -> bool:
        """Carry out a command. Return False if it ends the conversation."""
        from orchestrator.cli.output import print_run

        name = word.lower()
        if name in ("/quit", "/exit", "/q"):
            return False
        if name in ("/show", "/resume") and not self._thread_id:
            echo("there is no task yet", err=True)
        elif name == "/show":
            self._guard(lambda: print_run(self._orchestrator.show(self._thread_id), self._db))
        elif name == "/resume":
            start = partial(self._orchestrator.resume, self._thread_id, allow_other_model=self._allow_other_model)
            self._follow(start, self._thread_id)
        elif name == "/help":
            echo(_HELP, err=True)
        else:
            echo(f"there is no command {word}; /help tells those that there are", err=True)
        return True

    def _run(self, task: str) -> None:
        from orchestrator.cli.console import err
        from orchestrator.runs.thread_list import new_thread_id

        orchestrator = self._orchestrator
        is_new = not self._thread_id
        thread_id = self._thread_id or new_thread_id(task)

        def begin(name: str) -> None:
            self._thread_id = name
            if is_new:
                err.print(f"thread: {name}", soft_wrap=True)  # rich keeps it above what is drawn

        orchestrator.on_begin = begin
        self._follow(
            partial(
                orchestrator.run,
                task,
                thread_id=thread_id,
                budget=orchestrator.team.budget.of_run(self._limits),
                auto_approve=self._auto_approve,
                allow_other_model=self._allow_other_model,
            )
        )

    def _follow(self, start: Callable[..., "Run"], resumed: str = "") -> None:
        """Run, show the progress, ask the reviews, and print the end."""
        from orchestrator.cli.attend import display_for, follow
        from orchestrator.cli.console import err
        from orchestrator.cli.output import print_end, print_waterfall

        def work() -> None:
            run = follow(start, display_for(self._orchestrator, resumed), asks=self._is_attended)
            self._exit_code = run.exit_code
            if err.is_terminal:
                print_waterfall(self._orchestrator.journal(run.thread_id), run.status, self._db)
            print_end(run, self._db)

        self._guard(work)

    def _guard(self, work: Callable[[], None]) -> None:
        """Call a function. An error or Ctrl-C ends it and not the conversation."""
        from orchestrator.redaction import redact

        try:
            work()
        except KeyboardInterrupt:
            if not self._is_attended:
                raise
            echo("\ninterrupted: /resume goes on with it", err=True)
            CTRL_C.settle()
        except OrchestratorError as error:
            self._exit_code = error.exit_code
            echo(f"error: {redact(str(error))}", err=True)
            if self._is_attended and self._thread_id:
                echo("/resume goes on with a task that is not finished", err=True)
