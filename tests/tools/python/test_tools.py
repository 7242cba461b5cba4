"""Python keeps its names for the length of a sub-task, tells what it did, and says plainly what it cannot do."""

import asyncio
import os
import stat
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from orchestrator_tools.python import bubblewrap as python_bubblewrap
from orchestrator_tools.python.sandbox import Outcome, Sessions
from orchestrator_tools.python.shared_folder import hand_over, overfull
from orchestrator_tools.python.system_calls import system_call_filter
from orchestrator_tools.python.tools import PythonTool, SandboxUnavailableError, backend_name, python_tool

from tests.tools.hostile.test_python_hostile import bubblewrap_problem


def of(key: str | None = "one", workspace: Path | None = None) -> dict[str, Any]:
    place = {"sub_task_key": key, "workspace": str(workspace) if workspace else None}
    return {"configurable": {name: value for name, value in place.items() if value is not None}}


@pytest.fixture(scope="module")
def bubblewrap() -> None:
    if problem := bubblewrap_problem():
        pytest.skip(problem)


@pytest.fixture(params=["monty", "bubblewrap"])
def tool(request: pytest.FixtureRequest) -> Iterator[PythonTool]:
    if request.param == "bubblewrap":
        request.getfixturevalue("bubblewrap")
    made = python_tool(request.param, output_characters=1_000)
    yield made
    for key in ("one", "other"):
        made.end_sub_task(key)


@pytest.fixture
def full(bubblewrap: None) -> Iterator[PythonTool]:
    made = python_tool("bubblewrap", time_limit_s=4.0, memory_mb=400)
    yield made
    made.end_sub_task("one")


def test_the_value_of_the_last_expression_is_shown(tool: PythonTool) -> None:
    assert tool.invoke({"code": "x = 6\nx * 7"}, of()) == "=> 42"
    assert tool.invoke({"code": "'text'"}, of()) == "=> 'text'"


def test_print_is_shown_before_the_value(tool: PythonTool) -> None:
    assert tool.invoke({"code": "print('one')\nprint('two')\n3"}, of()) == "one\ntwo\n=> 3"


def test_code_that_shows_nothing_says_so(tool: PythonTool) -> None:
    assert "printed nothing" in tool.invoke({"code": "x = 1"}, of())


def test_names_are_kept_from_call_to_call(tool: PythonTool) -> None:
    tool.invoke({"code": "def double(x):\n    return 2 * x\ny = 4"}, of())
    assert tool.invoke({"code": "double(y)"}, of()) == "=> 8"


def test_names_survive_an_error(tool: PythonTool) -> None:
    tool.invoke({"code": "x = 1"}, of())
    tool.invoke({"code": "1 / 0"}, of())
    assert tool.invoke({"code": "x"}, of()) == "=> 1"


def test_names_are_gone_after_the_sub_task(tool: PythonTool) -> None:
    tool.invoke({"code": "x = 1"}, of())
    tool.end_sub_task("one")
    answer = tool.invoke({"code": "x"}, of())
    assert "NameError" in answer
    assert "define them again" in answer


def test_without_a_sub_task_every_call_is_on_its_own(tool: PythonTool) -> None:
    tool.invoke({"code": "x = 1"})
    answer = tool.invoke({"code": "x"})
    assert "NameError" in answer
    assert "in the same call" in answer


def test_sub_tasks_do_not_see_each_other(tool: PythonTool) -> None:
    def work(key: str) -> str:
        tool.invoke({"code": f"x = {key!r}"}, of(key))
        return str(tool.invoke({"code": "x"}, of(key)))

    with ThreadPoolExecutor(2) as threads:
        assert list(threads.map(work, ["one", "other"])) == ["=> 'one'", "=> 'other'"]


def test_a_session_outlives_the_thread_that_began_it(tool: PythonTool) -> None:
    with ThreadPoolExecutor(1) as threads:
        threads.submit(tool.invoke, {"code": "x = 5"}, of()).result()
    assert tool.invoke({"code": "x"}, of()) == "=> 5"


async def test_works_in_async_code(tool: PythonTool) -> None:
    answers = await asyncio.gather(*(tool.ainvoke({"code": f"{n} * 2"}, of(k)) for n, k in ((1, "one"), (2, "other"))))
    assert answers == ["=> 2", "=> 4"]


def test_an_error_points_at_the_line(tool: PythonTool) -> None:
    answer = tool.invoke({"code": "def divide(a):\n    return a / 0\n\ndivide(1)"}, of())
    assert answer.startswith("error: ")
    assert "line 4" in answer
    assert "line 2, in divide" in answer
    assert "return a / 0" in answer
    assert answer.endswith("ZeroDivisionError: division by zero")
    assert "driver" not in answer


def test_an_error_shows_what_was_printed_before(tool: PythonTool) -> None:
    assert "got here" in tool.invoke({"code": "print('got here')\n1 / 0"}, of())


def test_what_is_not_python_is_an_error(tool: PythonTool) -> None:
    assert "SyntaxError" in tool.invoke({"code": "this is no Python"}, of())


@pytest.mark.parametrize("code", ["print('x' * 50_000)", "'x' * 50_000", "print('x' * 900)\n'y' * 900"])
def test_a_long_output_is_cut_and_says_so(tool: PythonTool, code: str) -> None:
    answer = tool.invoke({"code": code}, of())
    assert len(answer) < 1_200
    assert "less" in answer


def test_an_answer_says_that_a_time_limit_took_the_names(tool: PythonTool) -> None:
    assert "All names" in python_tool(backend_name(tool), time_limit_s=1.0).invoke({"code": "while True:\n    pass"})  # type: ignore[arg-type]


@pytest.mark.parametrize("arguments", [{}, {"code": ""}, {"code": "x" * 100_000}, {"code": 1}])
def test_wrong_arguments_are_an_error(arguments: dict[str, Any]) -> None:
    assert python_tool().invoke(arguments).startswith("error: wrong arguments")


def test_half_a_character_in_the_code_is_an_error() -> None:
    assert python_tool().invoke({"code": "'\ud800'"}).startswith("error: wrong arguments")


def test_the_tool_says_what_it_is(bubblewrap: None) -> None:
    small, large = python_tool(), python_tool("bubblewrap")
    assert [backend_name(small), backend_name(large)] == ["monty", "bubblewrap"]
    assert small.metadata is not None
    assert large.metadata is not None
    assert (small.metadata["risk"], small.metadata["effect"], small.metadata["trust"]) == ("read", "none", "trusted")
    assert (large.metadata["risk"], large.metadata["trust"]) == ("read", "untrusted")
    for made in (small, large):
        assert made.name == "python"
        assert "For example: " in made.description
        assert set(made.args) == {"code"}


@pytest.mark.parametrize("code", ["class A(Exception): pass", "def f():\n    yield 1", "x = 1\ndel x", "import numpy"])
def test_what_the_description_denies_monty_it_does_not_have(code: str) -> None:
    answer = python_tool().invoke({"code": code})
    assert answer.startswith("error: ")
    assert "what the tool's description names" in answer


def test_the_modules_that_the_description_names_are_there() -> None:
    tool = python_tool()
    names = tool.description.partition("Modules: ")[2].partition(".")[0].split(", ")
    assert len(names) > 15
    assert "printed nothing" in tool.invoke({"code": "\n".join(f"import {name}" for name in names)})


def test_an_unknown_backend_is_refused() -> None:
    with pytest.raises(ValueError, match="use 'monty' or 'bubblewrap'"):
        python_tool("subprocess")  # type: ignore[arg-type]


def test_another_system_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(python_bubblewrap.sys, "platform", "darwin")
    with pytest.raises(SandboxUnavailableError, match="needs Linux"):
        python_tool("bubblewrap")


@pytest.mark.skipif(not hasattr(os, "pidfd_open"), reason="bubblewrap is for Linux")
class TestWithoutBubblewrap:
    def test_a_missing_program_is_named(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(python_bubblewrap.shutil, "which", lambda name: None)
        answer = python_tool("bubblewrap").invoke({"code": "1"})
        assert answer.startswith("error: no Python can be run here: the program 'bwrap' is not there")
        assert "apt-get install bubblewrap" in answer

    def test_a_program_that_fails_gives_its_reason_and_nothing_runs(
        self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        refuses = tmp_path / "bwrap"
        refuses.write_text("#!/bin/sh\necho 'bwrap: No permissions to create a new namespace' >&2\nexit 1\n")
        refuses.chmod(0o755)
        monkeypatch.setattr(python_bubblewrap.shutil, "which", lambda name: str(refuses))
        answer = python_tool("bubblewrap").invoke({"code": "1"})
        assert "No permissions to create a new namespace" in answer
        assert "=> 1" not in answer

    def test_a_python_that_is_not_there_is_an_error(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(python_bubblewrap.shutil, "which", lambda name: "/bin/true")
        assert "does not run" in python_tool("bubblewrap", python="/nowhere/python").invoke({"code": "1"})


def test_files_lie_in_the_workspace(full: PythonTool, tmp_path: Path) -> None:
    place = tmp_path / "new" / "workspace"
    full.invoke({"code": "open('out.txt', 'w').write('made inside')"}, of(workspace=place))
    assert (place / "out.txt").read_text() == "made inside"
    assert stat.S_IMODE(place.stat().st_mode) == 0o700
    assert stat.S_IMODE((place / "out.txt").stat().st_mode) == 0o600
    (place / "in.txt").write_text("made outside")
    (place / "in.txt").chmod(0o600)
    assert full.invoke({"code": "open('in.txt').read()"}, of(workspace=place)) == "=> 'made outside'"


def test_without_a_workspace_files_end_with_the_session(full: PythonTool) -> None:
    full.invoke({"code": "open('out.txt', 'w').write('x')"}, of())
    assert full.invoke({"code": "open('out.txt').read()"}, of()) == "=> 'x'"
    full.end_sub_task("one")
    assert "FileNotFoundError" in full.invoke({"code": "open('out.txt').read()"}, of())


@pytest.mark.parametrize(
    "code",
    [
        "for n in range(10):\n    open(str(n), 'wb').write(bytes(20_000_000))",
        "for n in range(100_000):\n    open(str(n), 'w')",
        "import os\nfor n in range(100):\n    os.mkdir('d')\n    os.chdir('d')",
        "import os\nos.mkdir('d')\nopen('d/x', 'w')\nos.chmod('d', 0)",
    ],
    ids=["bytes", "files", "depth", "a closed folder"],
)
def test_a_workspace_that_holds_too_much_stops_python(full: PythonTool, tmp_path: Path, code: str) -> None:
    answer = full.invoke({"code": code}, of(workspace=tmp_path))
    if os.getuid() != 0 or "chmod" not in code:  # a folder is never closed to root
        assert "Python was stopped" in answer
        assert "the workspace" in full.invoke({"code": "1"}, of(workspace=tmp_path))
    for path in tmp_path.iterdir():
        if path.is_dir():
            path.chmod(0o700)


def test_full_python_has_classes_generators_and_libraries(full: PythonTool) -> None:
    code = "class A(dict):\n    pass\ndef f():\n    yield 1\nx = 1\ndel x\nimport sqlite3, statistics\nlist(f())"
    assert full.invoke({"code": code}, of()) == "=> [1]"


@pytest.mark.parametrize(
    ("code", "says"),
    [
        ("a = []\nwhile True:\n    a.append(b'x' * 10**8)", "MemoryError"),
        (
            "import os, time\nfor _ in range(10):\n    if not os.fork():\n        a = b'x' * 100_000_000\n"
            "        time.sleep(60)\ntime.sleep(60)",
            "more than 400 MB of memory",
        ),
        ("import os\nfor n in range(40):\n    open(f'/tmp/{n}', 'wb').write(bytes(10**7))", "No space left"),
        ("import os\nfor n in range(40):\n    open(f'/dev/shm/{n}', 'wb').write(bytes(10**7))", "No space left"),
    ],
    ids=["one process", "all processes", "scratch", "shared"],
)
def test_memory_is_limited(bubblewrap: None, code: str, says: str) -> None:
    assert says in python_tool("bubblewrap", time_limit_s=30.0, memory_mb=400).invoke({"code": code})


def test_a_folder_is_handed_over_without_what_lies_outside(tmp_path: Path) -> None:
    if os.getuid() != 0:
        pytest.skip("only root can give files away")
    place = tmp_path / "place"
    (place / "below").mkdir(parents=True)
    (place / "below" / "file").write_text("x")
    outside = tmp_path / "outside"
    outside.write_text("x")
    (place / "link").symlink_to(outside)
    (place / "name").hardlink_to(outside)
    hand_over(place, 12_345)
    assert [path.stat().st_uid for path in (place, place / "below", place / "below" / "file")] == [12_345] * 3
    assert outside.stat().st_uid == 0


def test_a_folder_is_overfull_from_a_limit_on(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(bytes(50_000))
    assert overfull(tmp_path, 1_000_000, 10) is None
    assert "holds more" in (overfull(tmp_path, 10_000, 10) or "")
    assert "holds more" in (overfull(tmp_path, 1_000_000, 0) or "")


@pytest.mark.parametrize("processor", ["x86_64", "aarch64"])
def test_the_filter_is_made_of_whole_instructions(processor: str) -> None:
    steps = system_call_filter(processor)
    assert len(steps) % 8 == 0
    assert len(steps) // 8 < 4_096


class Recorder:
    """A sandbox that notes which sessions begin and end."""

    def __init__(self) -> None:
        self.running = 0
        self.started = 0

    def start(self, workspace: Path | None) -> "Recorder":
        self.running += 1
        self.started += 1
        return self

    def run(self, code: str) -> Outcome:
        return Outcome(ended="the time is over" if code == "loop" else None)

    def end(self) -> None:
        self.running -= 1

    def close(self) -> None:
        self.started = -1


def test_the_longest_unused_session_gives_way() -> None:
    recorder = Recorder()
    sessions = Sessions(recorder, most=2)
    for key in ("a", "b", "a", "c", "a", "b"):
        sessions.run(key, None, "")
    assert recorder.started == 4
    assert recorder.running == 2


def test_an_ended_session_is_begun_anew() -> None:
    recorder = Recorder()
    sessions = Sessions(recorder, most=2)
    for code in ("", "loop", ""):
        sessions.run("a", None, code)
    assert (recorder.started, recorder.running) == (2, 1)
    sessions.end("a")
    sessions.end("a")
    assert recorder.running == 0


def test_all_sessions_end_with_the_tool() -> None:
    recorder = Recorder()
    sessions = Sessions(recorder, most=2)
    sessions.run("a", None, "")
    del sessions
    assert (recorder.started, recorder.running) == (-1, 0)
