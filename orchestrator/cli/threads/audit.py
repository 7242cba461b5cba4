"""`orchestrator audit verify`: nothing in the journal of a thread was changed, and it agrees with the thread."""

from typing import Annotated

import typer

from orchestrator.cli.echo import command, echo, echo_json
from orchestrator.cli.options import Db, Json, Thread
from orchestrator.cli.threads.commands import open_reader
from orchestrator.errors import EXIT_FAILED

app = typer.Typer(help="Check what is recorded of a thread.", no_args_is_help=True, rich_markup_mode=None)


@app.callback()
def audit() -> None:
    """Check what is recorded of a thread."""


@app.command()
def verify(
    thread: Thread,
    head: Annotated[
        str, typer.Option("--head", help="The hash of a record that has to be there, from an earlier check.")
    ] = "",
    db: Db = None,
    as_json: Json = False,
) -> None:
    """Check the journal of a thread.

    No record was changed, and outcomes, spending and answer agree with it.
    It ends with 1 if there are problems. Keep the hash that it prints elsewhere: given as --head to a later check, it
    shows if records at the end are missing.
    """
    from orchestrator.reports.history.agreement import disagreements
    from orchestrator.reports.history.reading import histories

    with open_reader(db) as threads:
        check = threads.verify_journal(thread, head)
        problems, notes = list(check.problems), []
        if not check.records:
            notes.append("the thread was recorded before there was a journal: there is nothing to check")
        elif threads.is_running(thread):
            # Journal and state are read one after the other, and the run writes in between.
            notes.append("the thread is at work: only the journal was checked")
        elif tasks := histories(threads.journal(thread)):
            problems += disagreements(tasks[-1], threads.show(thread))
    if as_json:
        about = {"thread_id": thread, "records": check.records, "head": check.head}
        echo_json({**about, "is_sound": not problems, "problems": problems, "notes": notes})
    else:
        for line in [*problems, *notes]:
            echo(line)
        if check.records:
            result = f"{len(problems)} problems" if problems else "sound"
            echo(f"{thread}: {check.records} records, {result}, head {check.head}")
            if not problems:
                echo(f"check later with: {command('audit', 'verify', thread, '--head', check.head, db=db)}")
    if problems:
        raise typer.Exit(EXIT_FAILED)
