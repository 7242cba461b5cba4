"""A report of a thread, in the form that is wanted."""

from collections.abc import Sequence
from typing import Literal, get_args

from orchestrator.control_characters import visible_json
from orchestrator.errors import ConfigError
from orchestrator.reports.report.contents import Source, contents

Form = Literal["html", "md", "json"]
Which = int | Literal["newest", "all"]


def report(source: Source, form: Form, tasks: Which = "newest") -> str:
    """Return a report as one text.

    Args:
        source: What it is made from.
        form: `html`, `md` for Markdown, or `json`.
        tasks: The number of a task, `newest` or `all`.

    Raises:
        ConfigError: There is no such form, or no such task.
    """
    if form not in get_args(Form):
        raise ConfigError(f"'{form}' is no form of a report: use one of {', '.join(get_args(Form))}")
    numbers = _numbers(source, tasks)
    plain = contents(source, numbers)
    if form == "json":
        return visible_json(plain, indent=1) + "\n"
    # Templates and Markdown are not loaded for JSON, which a script may want thousands of times.
    if form == "md":
        from orchestrator.reports.report.markdown_form import report_markdown

        return report_markdown(plain)
    from orchestrator.reports.report.html import report_html

    return report_html(source, plain)


def _numbers(source: Source, tasks: Which) -> Sequence[int]:
    newest = source.newest
    if tasks == "newest":
        return [newest]
    if tasks == "all":
        return range(1, newest + 1)
    if isinstance(tasks, bool) or not isinstance(tasks, int) or tasks < 1:
        raise ConfigError(f"a report is about a task by its number, 'newest' or 'all', and not {tasks!r}")
    if tasks > newest:
        raise ConfigError(f"thread '{source.run.thread_id}' has no task {tasks}: its newest is {newest}")
    return [tasks]
