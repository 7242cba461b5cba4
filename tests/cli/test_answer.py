"""An answer is Markdown at a terminal and the bare text elsewhere, and nothing in it is hidden or obeyed."""

import io
import re

import pytest

from orchestrator.cli.answer import print_markdown
from orchestrator.cli.console import VisibleConsole
from tests.test_control_characters import HOSTILE, commands_in


def shown(text: str, *, colours: bool = False, width: int = 80) -> str:
    console = VisibleConsole(
        file=io.StringIO(), force_terminal=True, width=width, color_system="standard" if colours else None, _environ={}
    )
    print_markdown(text, console)
    assert isinstance(console.file, io.StringIO)
    return "\n".join(line.rstrip() for line in console.file.getvalue().splitlines())


def test_headings_lists_tables_and_code_are_drawn() -> None:
    lines = shown(
        "# Lakes\n\n- **deep**\n- cold\n\n| a | b |\n|---|---|\n| 1 | 2 |\n\n```python\nx = 1\n```\n"
    ).splitlines()
    assert "Lakes" in lines
    assert " • deep" in lines
    assert " 1  2" in lines
    assert "x = 1" in lines, "code has nothing before and behind it, so that it can be copied"


def test_line_ends_stay() -> None:
    assert shown("one\ntwo\nthree") == "one\ntwo\nthree"


@pytest.mark.parametrize(
    ("text", "seen"),
    [
        ("See [the bank](https://evil.example).", "See the bank (https://evil.example)."),
        ("a <b>word</b> of List<int>", "a <b>word</b> of List<int>"),
        ("<script>\nalert(1)\n</script>", "<script>\nalert(1)\n</script>"),
        ("![cat](https://x.example/c.png)", "!cat (https://x.example/c.png)"),
        ("as in [1]\n\n[1]: https://x.example/a", "as in [1]\n\n[1]: https://x.example/a"),
        ("[bold]no[/bold] :bug: [t1]", "[bold]no[/bold] :bug: [t1]"),
        ("&lt; &#8238;", "&lt; &#8238;"),
    ],
)
def test_nothing_is_hidden(text: str, seen: str) -> None:
    assert shown(text) == seen


def test_nothing_in_it_commands_the_terminal() -> None:
    text = (
        f"# {HOSTILE}\n\n- {HOSTILE}\n\n[{HOSTILE}](https://x.example)\n\n`{HOSTILE}`\n\n| {HOSTILE} |\n|---|\n| x |\n"
    )
    assert commands_in(shown(text, width=300)) == []


def test_its_colours_are_seen_on_dark_and_light_terminals() -> None:
    parts = (
        "# A\n## B",
        "> q",
        "- l",
        "1. n",
        "[a](https://b.example) `c`",
        "```\nd\n```",
        "| a |\n|---|\n| b |",
        "---",
    )
    text = "\n\n".join(parts)
    styles = {
        number
        for sequence in re.findall(r"\x1b\[([\d;]*)m", shown(text, colours=True))
        for number in sequence.split(";")
    }
    # Bold, dim, italic, underlined and cyan; no background, and neither black, white, yellow nor blue.
    assert styles <= {"0", "1", "2", "3", "4", "36"}
