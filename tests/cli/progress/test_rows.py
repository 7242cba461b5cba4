"""What runs and what needs a human is seen on every terminal, and the rest folds."""

import pytest
from rich.cells import cell_len

from orchestrator.events import (
    Planned,
    Planning,
    ReviewAsked,
    RunStarted,
    Spent,
    SubTaskChanged,
    Summarizing,
    TextDelta,
    TextVoided,
    ToolCalled,
    ToolReturned,
)
from orchestrator.model_calls.call_events import ModelAsked, ModelReturned, PromptRead
from orchestrator.planning.plan import Plan
from orchestrator.reviews.review import Review
from tests.cli.progress.scene import Screen
from tests.support.teams import step
from tests.test_control_characters import HOSTILE, commands_in

PLAN = Plan.parse([step("a"), step("b", "a"), step("c", agent="tooled")])
WIDE = Plan.parse([step(f"t{number}") for number in range(1, 36)])
REVIEW = Review(id="t/tool-1", kind="tool", question="May it?", subject={}, sub_task_id="c")


def running(*names: str) -> list[SubTaskChanged]:
    return [SubTaskChanged(name, "running") for name in names]


def test_each_sub_task_has_a_line_that_tells_what_it_does_or_waits_for() -> None:
    screen = Screen(Planned(PLAN), *running("a", "c"), ToolCalled("c", "write", {"text": "x"}, "1"))
    screen.clock.now += 75
    assert screen.lines[0].startswith("▶ a")
    assert screen.row("a") == "▶ a worker 1:15 waits to ask its model"
    assert screen.row("b") == "· b worker waits for a"
    assert screen.row("c") == '▶ c tooled 1:15 write(text="x"), 1:15'
    usage = {"input_tokens": 1000, "output_tokens": 234}
    screen.tell([SubTaskChanged("a", "succeeded", seconds=61.2, usage=usage), ToolReturned("c", "write", "1")])
    screen.tell([SubTaskChanged("c", "failed", error="it broke")])
    assert screen.row("a") == "✔ a worker 1:01 1.2k tokens · do a"
    assert screen.row("b") == "· b worker do b"
    assert screen.row("c") == "✘ c tooled failed: it broke"


def test_every_request_to_a_model_is_a_sign_of_life() -> None:
    screen = Screen(Planning(), ModelAsked("", "supervisor", "big", "1"))
    screen.clock.now += 12
    assert screen.row("supervisor") == "▶ supervisor 12 s planning · asks big"
    screen.tell([ModelReturned("", "supervisor", "big", "1"), Planned(PLAN), *running("a")])
    assert len(screen.lines) == 3, "the supervisor does nothing now"
    screen.tell([ModelAsked("a", "worker", "small", "2")])
    screen.clock.now += 8
    assert screen.row("a").endswith("asks small, 8 s")
    screen.tell([ModelReturned("a", "worker", "small", "2", "429: slow down")])
    assert "small failed: 429: slow down" in screen.row("a")
    screen.tell([ModelAsked("a", "worker", "small", "3")])
    assert screen.row("a").endswith("asks small, 0 s")


def test_a_model_that_tells_how_far_it_has_read_its_prompt_is_shown_so() -> None:
    screen = Screen(Planned(PLAN), *running("a"), ModelAsked("a", "worker", "qwen", "1"))
    screen.tell([PromptRead("a", "worker", "qwen", "1", 512, 1480)])
    screen.clock.now += 40
    assert screen.row("a").endswith("qwen reads prompt 512/1,480, 40 s")
    screen.tell([PromptRead("a", "worker", "qwen", "1", 1480, 1480)])
    assert screen.row("a").endswith("qwen answers, 40 s")


def test_the_end_of_what_is_being_written_is_seen() -> None:
    words = [TextDelta("a", "worker", text, "s1") for text in ("It is\n", "a long\t", "tale " + "and " * 40 + "end")]
    screen = Screen(Planned(PLAN), *running("a"), ModelAsked("a", "worker", "small", "1"), *words)
    assert screen.row("a").endswith("and and end")
    assert "It is" not in screen.row("a")
    screen.tell([TextDelta("a", "worker", "No.", "s2")])
    assert screen.row("a").endswith("… No.")
    screen.tell([TextVoided("a", "worker", "s2")])
    assert "asks small" in screen.row("a")
    screen.tell([Summarizing(), TextDelta("", "supervisor", "All told", "s3")])
    assert screen.row("supervisor").endswith("… All told")


def test_a_new_attempt_starts_with_a_clean_row() -> None:
    screen = Screen(Planned(PLAN), SubTaskChanged("a", "failed", error="it broke"))
    screen.tell([Planned(Plan.parse([{**step("a"), "attempt": 2, "feedback": ["more"]}]))])
    assert screen.row("a") == "· a (2) worker do a"


def test_a_run_that_goes_on_shows_nothing_of_what_an_ended_process_did() -> None:
    screen = Screen(Planning(), ModelAsked("", "supervisor", "big", "1"))
    screen.tell([RunStarted(resumed=True)])
    assert screen.lines == []


@pytest.mark.parametrize(("width", "height"), [(80, 22), (60, 22), (120, 38), (60, 8)])
def test_35_sub_tasks_at_work_are_all_seen(width: int, height: int) -> None:
    screen = Screen(Planned(WIDE), *running(*WIDE.by_id), width=width, height=height)
    screen.clock.now += 100
    assert len(screen.lines) <= height
    assert all(cell_len(line) <= width for line in screen.lines)
    assert {f"t{number}" for number in range(1, 36)} <= set(" ".join(screen.lines).split())


def test_what_has_ended_and_what_waits_folds_into_a_line_each() -> None:
    done = [SubTaskChanged(f"t{number}", "succeeded", seconds=1.0) for number in range(1, 13)]
    screen = Screen(Planned(WIDE), *done, *running("t13", "t14"), height=6)
    asked = Review(id="t/r", kind="result", question="Good?", subject={}, sub_task_id="t15")
    screen.tell(
        [SubTaskChanged("t15", "waiting"), ReviewAsked(asked), SubTaskChanged("t16", "failed", error="it broke")]
    )
    assert screen.lines[0].startswith("✔ 12 done: t1 t2")
    assert [line[:5].strip() for line in screen.lines[1:5]] == ["▶ t13", "▶ t14", "? t15", "✘ t16"]
    assert screen.lines[5].startswith("· 19 to do: t17")


def test_a_human_who_is_needed_is_seen_before_all_others() -> None:
    asked = Review(id="t/r", kind="result", question="Good?", subject={}, sub_task_id="t35")
    screen = Screen(Planned(WIDE), *running(*WIDE.by_id), SubTaskChanged("t35", "waiting"), height=9)
    screen.tell([ReviewAsked(asked)])
    assert screen.row("t35").endswith("waits for you: Good?")


def test_a_sub_task_that_waits_for_another_one_does_not_need_a_human() -> None:
    screen = Screen(Planned(PLAN), *running("a", "c"), *(SubTaskChanged(name, "waiting") for name in "abc"))
    screen.tell([ReviewAsked(REVIEW)])
    assert [screen.row(name)[0] for name in "abc"] == ["·", "·", "?"]
    assert screen.last_line.startswith("0/3 · 1 for you")
    budget = Review(id="t/steer", kind="steer", question="The budget is spent.", subject={})
    screen.tell([ReviewAsked(budget)])
    assert [screen.row(name)[0] for name in "abc"] == ["?", "·", "?"], "a has room to go on in no other way"
    screen.tell(running("a"))
    assert [screen.row(name)[0] for name in "abc"] == ["▶", "·", "?"]


def test_the_last_line_counts_and_tells_time_and_money_of_the_budget() -> None:
    screen = Screen(Planned(WIDE), SubTaskChanged("t1", "succeeded"), *running("t2"))
    screen.clock.now += 83
    screen.tell([Spent(45_210, 0.0123, 31, {"tokens": 500_000, "cost_usd": 5.0})])
    assert screen.last_line == "1/35 · 1 running · 1:23 · $0.0123/$5 · 45k/500k tokens · 31 calls"
    screen.width = 48
    assert screen.last_line == "1/35 · 1 running · 1:23 · $0.0123/$5", "what is limited has room first"


def test_a_terminal_without_unicode_gets_signs_that_it_has() -> None:
    screen = Screen(Planned(WIDE), SubTaskChanged("t1", "succeeded"), *running("t2"), height=9, ascii_only=True)
    screen.tell([TextDelta("t2", "worker", "Zürich 東京", "s")])
    assert "".join([*screen.lines, screen.last_line]).isascii()
    assert screen.row("t2").endswith("... Z?rich ??")


def test_no_text_of_a_model_commands_the_screen_or_breaks_its_lines() -> None:
    plan = Plan.parse([step("a") | {"description": HOSTILE}, step("b"), step("c")])
    screen = Screen(Planned(plan), *running("a", "b"), ToolCalled("a", HOSTILE, {"x": HOSTILE}, "1"))
    screen.tell([TextDelta("b", "worker", HOSTILE * 9, "s"), SubTaskChanged("c", "failed", error=HOSTILE * 9)])
    assert commands_in("\n".join(screen.lines)) == []
    assert all(cell_len(line) <= 80 for line in screen.lines)
    assert len(screen.lines) == 3
