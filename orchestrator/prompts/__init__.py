"""The prompts: one Markdown file each, with `$name` for each blank."""

from functools import cache
from importlib import resources
from string import Template


@cache  # the files are read once a process
def _template(name: str) -> Template:
    return Template(resources.files(__package__).joinpath(f"{name}.md").read_text(encoding="utf-8").strip())


def text(name: str, **values: str) -> str:
    """Return the text of `<name>.md` with its blanks filled in.

    Raises:
        KeyError: A blank has no value.
    """
    return _template(name).substitute(values)
