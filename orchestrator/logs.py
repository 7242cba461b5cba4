"""Loggers of the engine: one for each module, under `orchestrator`, silent until the program sets up logging.

INFO tells that a run begins, pauses and ends. WARNING tells of what was mended or refused: retries, fallbacks, refused
tool calls. DEBUG tells of each sub-task and each tool call. No text of a task, a result or an argument is logged.
"""

import logging
import os
import sys
from typing import TextIO

from orchestrator.control_characters import visible
from orchestrator.redaction import redact

ROOT = "orchestrator"
LEVEL_VARIABLE = "ORCHESTRATOR_LOG"
_SHOWN_OTHERWISE = ("model_calls", "tool_calls")  # the live progress tells of them

logging.getLogger(ROOT).addHandler(logging.NullHandler())  # Python would print warnings of a silent program


class _Redaction(logging.Filter):
    """Takes secrets out of what is logged. It is asked only for records that a level lets through."""

    def filter(self, record: logging.LogRecord) -> bool:
        record.msg, record.args = redact(record.getMessage()), None
        if record.exc_info and not record.exc_text:
            record.exc_text = redact(logging.Formatter().formatException(record.exc_info))
        return True


_REDACTION = _Redaction()
# The HTTP clients of models log the addresses of requests, and those may hold keys.
for _name in ("httpx", "httpx2", "httpcore", "httpcore2", "openai", "openai._base_client"):
    logging.getLogger(_name).addFilter(_REDACTION)


def logger(name: str) -> logging.Logger:
    """Return the logger of a module, whose records have no secrets.

    Args:
        name: The module's `__name__`.
    """
    # A filter of the root logger would not see the records of the loggers below.
    log = logging.getLogger(name)
    log.addFilter(_REDACTION)
    return log


class _Stderr(logging.StreamHandler[TextIO]):
    """Prints on the stderr of the moment, without what a terminal would obey."""

    def __init__(self) -> None:
        logging.Handler.__init__(self)

    @property
    def stream(self) -> TextIO:  # type: ignore[override]
        return sys.stderr

    def format(self, record: logging.LogRecord) -> str:
        return visible(super().format(record))


_STDERR = _Stderr()


def print_logs(level: str | None) -> str:
    """Print the engine's log on stderr, for the command line. Return why it cannot be done, or an empty text.

    Args:
        level: Name of the level; None for that of the environment, or warnings.
    """
    wanted = (level or os.environ.get(LEVEL_VARIABLE) or "warning").upper()
    number = logging.getLevelNamesMapping().get(wanted)
    if number is None:
        return f"{LEVEL_VARIABLE}={wanted.lower()} is no level: use debug, info, warning or error"
    log = logging.getLogger(ROOT)
    form = "%(message)s" if number >= logging.WARNING else "%(asctime)s %(levelname)s %(name)s: %(message)s"
    _STDERR.setFormatter(logging.Formatter(form))
    log.addHandler(_STDERR)
    log.setLevel(number)
    is_asked = bool(level or os.environ.get(LEVEL_VARIABLE))
    for name in _SHOWN_OTHERWISE:
        logging.getLogger(f"{ROOT}.{name}").setLevel(logging.NOTSET if is_asked else logging.ERROR)
    return ""
