"""Names and descriptions of `Worker.of(thing)`, and wrong uses of it."""

from collections.abc import Callable
from typing import Any

import pytest
from langgraph.graph import StateGraph

from orchestrator import ConfigError, Worker
from tests.support.guests import guest, last_line, last_line_later, message_graph


def test_names_and_descriptions_are_its_own_where_it_has_them() -> None:
    worker = Worker.of(last_line)
    assert (worker.name, worker.description) == ("last_line", "Shouts")
    assert Worker.of(message_graph(), description="answers").name == "guest"


@pytest.mark.parametrize(
    ("make", "problem"),
    [
        (lambda: Worker.of(lambda text: text, description="x"), "has no name of its own"),
        (lambda: Worker.of(last_line_later), "has no description of its own"),
        (lambda: guest("a graph"), "needs a graph, a runnable or a function, not str"),
        (lambda: guest(StateGraph), "needs a graph, a runnable or a function"),
        (lambda: guest(lambda a, b, c: ""), r"has to take \(text\), or \(sub_task, context\)"),
        (lambda: guest(lambda: ""), "has to take"),
        (lambda: guest(last_line, risk="much"), "risk='much' cannot be declared"),
        (lambda: guest(last_line, effect="twice", risk=None), "effect='twice' cannot be declared"),
        (lambda: guest(last_line).add_tools(), "has its own tools"),
    ],
)
def test_wrong_use_is_refused_in_one_line(make: Callable[[], Any], problem: str) -> None:
    with pytest.raises(ConfigError, match=problem):
        make()
