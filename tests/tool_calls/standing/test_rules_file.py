"""Standing rules are added to a file and taken out again; everything else in the file stays as it was."""

import re
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestrator.errors import ConfigError
from orchestrator.tool_calls.policy import Rule
from orchestrator.tool_calls.standing.rules_file import RulesFile

OWN = """# My policy.
always_allow = ["write"]

[[rule]] # never
action = "refuse"
tool = "delete_*"

# About mail.
[[rule]]
action = "ask"
tool = "mail"
"""
MAIL = Rule(action="allow", standing=True, worker="clerk", tool="mail")
PRINT = Rule(action="allow", standing=True, worker="clerk", tool="print", args={"n": r"\A1\Z"}, no_other_args=True)


def test_a_rule_is_added_below_what_was_there_and_says_by_whom(tmp_path: Path) -> None:
    path = tmp_path / "policy.toml"
    path.write_text(OWN)
    RulesFile(path).add(MAIL, "ada")
    text = path.read_text()
    assert text.startswith(OWN)
    assert "# Always allowed by ada, 20" in text
    assert [rule.action for rule in RulesFile(path).policy().rules] == ["refuse", "ask", "allow"]


def test_rules_are_taken_out_in_any_order_and_the_file_is_as_before(tmp_path: Path) -> None:
    path = tmp_path / "policy.toml"
    path.write_text(OWN)
    file = RulesFile(path)
    for rule in (MAIL, PRINT):
        file.add(rule, "ada")
    for rule in (MAIL, PRINT):
        [place] = [place for place, each in file.standing() if each == rule]
        file.remove(place, rule)
    assert path.read_text().rstrip() == OWN.rstrip()


def test_a_rule_that_is_there_is_not_added_again(tmp_path: Path) -> None:
    file = RulesFile(tmp_path / "rules.toml")
    for _ in range(2):
        file.add(MAIL, "")
    assert file.standing() == [(0, MAIL)]


def test_a_file_that_has_changed_meanwhile_is_left_alone(tmp_path: Path) -> None:
    file = RulesFile(tmp_path / "rules.toml")
    file.add(MAIL, "ada")
    before = file.path.read_text()
    for place, rule in ((0, PRINT), (1, MAIL)):
        with pytest.raises(ConfigError, match="have changed meanwhile"):
            file.remove(place, rule)
    assert file.path.read_text() == before


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("rule = [{action = 'ask'}]\n", "cannot be changed here: change it by hand"),
        ("[[rule]]\naction = 'fly'\n", "is wrong at"),
        ("not toml", "is not TOML"),
    ],
)
def test_a_file_that_cannot_be_changed_safely_is_left_alone(tmp_path: Path, text: str, problem: str) -> None:
    path = tmp_path / "policy.toml"
    path.write_text(text)
    with pytest.raises(ConfigError, match=problem):
        RulesFile(path).add(MAIL, "ada")
    assert path.read_text() == text
    assert [each.name for each in tmp_path.iterdir()] == ["policy.toml"], "nothing is left behind"


def test_a_text_that_looks_like_a_rule_hides_none(tmp_path: Path) -> None:
    path = tmp_path / "policy.toml"
    path.write_text('[[rule]]\naction = "refuse"\nreason = """\n[[rule]]\n"""\n')
    file = RulesFile(path)
    file.add(MAIL, "ada")
    before = path.read_text()
    with pytest.raises(ConfigError, match="change it by hand"):
        file.remove(1, MAIL)
    assert path.read_text() == before


@settings(max_examples=60)
@given(
    st.text(min_size=1, max_size=30), st.dictionaries(st.text(min_size=1, max_size=8), st.text(max_size=20), max_size=3)
)
def test_any_text_in_a_rule_comes_back_as_it_was(
    tmp_path_factory: pytest.TempPathFactory, tool: str, args: dict[str, str]
) -> None:
    rule = Rule(action="allow", standing=True, tool=tool, args={name: re.escape(value) for name, value in args.items()})
    file = RulesFile(tmp_path_factory.mktemp("rules") / "rules.toml")
    file.add(rule, tool)
    assert file.standing() == [(0, rule)]
