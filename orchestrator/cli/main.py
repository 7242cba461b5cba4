"""The `orchestrator` program: Ctrl-C from the first moment on, errors as one line, exit codes."""

import io
import sys

from orchestrator.cli.interruption import CTRL_C
from orchestrator.errors import EXIT_FAILED, OrchestratorError


def main(argv: list[str] | None = None) -> None:
    """Run the command line. An error meant for a person becomes one line on stderr and an exit code.

    Args:
        argv: The words after the program's name, from another program; None for those of this process.
    """
    if argv is None:  # another program answers Ctrl-C itself
        CTRL_C.install()
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # a terminal of another encoding lacks most signs
    try:
        _run(argv)
    except (KeyboardInterrupt, SystemExit) as end:
        if CTRL_C.is_answered and isinstance(end, SystemExit):
            raise
        CTRL_C.tell()
        CTRL_C.leave()


def _run(argv: list[str] | None) -> None:
    from orchestrator.cli.commands import app
    from orchestrator.cli.echo import echo
    from orchestrator.redaction import redact

    try:
        # Standalone mode: without it, typer returns the code of `typer.Exit`, and every command once exited with 0.
        app(
            argv, prog_name="orchestrator", obj=tuple(sys.argv[1:] if argv is None else argv)
        )  # completion asks for it by this name, also under `python -m`
    except OrchestratorError as error:
        echo(f"error: {redact(str(error))}", err=True)
        sys.exit(error.exit_code)
    except Exception as error:  # noqa: BLE001 - an error that nobody foresaw may quote a document or an endpoint
        import traceback

        echo(redact("".join(traceback.format_exception(error))).rstrip(), err=True)
        sys.exit(EXIT_FAILED)
