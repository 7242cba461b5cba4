"""A disk that fills up while a run writes: one clear error, nothing finished is lost or done again, and it goes on.

`PRAGMA max_page_count` makes SQLite fail exactly as on a full disk, at a chosen page. Once it is tried on a real file
system of 1 MB, where the journal and the locks find no room either.
"""

import hashlib
import json
import shutil
import sqlite3
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import orchestrator.memory.recall
from orchestrator import Persistence, TaskOrchestrator
from orchestrator.cli.main import main
from orchestrator.errors import PersistenceError
from orchestrator.testing import EffectLog, OpenAIServer, TeamScript, call, say
from tests.support.teams import model_of, open_team, statuses, step, worked, writer

ROOT = Path(__file__).resolve().parents[2]
PLAN = [
    step("a", agent="tooled"),
    step("b", agent="tooled"),
    step("c", "a", agent="tooled"),
    step("d", "b", agent="tooled"),
    step("e", "c", "d", agent="tooled"),
]
IDS = [sub_task["id"] for sub_task in PLAN]
MORE_PAGES = 10_000


def long(name: str) -> str:
    """Six thousand characters that do not become fewer by packing."""
    return " ".join(hashlib.sha256(f"{name}{number}".encode()).hexdigest() for number in range(92))


RESULTS: Any = {name: [call("write", text=name), say(f"result of {name}: {long(name)}")] for name in IDS}
ANSWER = "All five are done."


def script() -> TeamScript:
    return TeamScript(PLAN, results=RESULTS, summary="All five are done.\n\nFrom: [a] [b] [c] [d] [e]")


def pages(team: TaskOrchestrator) -> int:
    return int(team.persistence._conn.execute("PRAGMA page_count").fetchone()[0])


def room(team: TaskOrchestrator, more: int) -> None:
    """Lets the database grow by so many pages of 4 KB."""
    team.persistence._conn.execute(f"PRAGMA max_page_count = {pages(team) + more}")


def finished(team: TaskOrchestrator) -> set[str]:
    """The sub-tasks whose results are in the shared memory, read anew from the disk."""
    return {entry.sub_task_id for entry in team.memory_of("t").all() if entry.status == "final"}


def go_on(team: TaskOrchestrator) -> Any:
    """Resumes; a thread that found no room even for its name is begun."""
    known = [record.id for record in team.threads()]
    return team.resume("t") if "t" in known else team.run("go", thread_id="t", auto_approve=True)


def needed(folder: Path) -> int:
    """How many pages a run takes."""
    with open_team(script(), folder / "whole.db", writer(EffectLog(folder / "whole"))) as team:
        before = pages(team)
        assert team.run("go", thread_id="t", auto_approve=True).status == "done"
        return pages(team) - before


def test_a_run_takes_more_pages_than_the_tests_here_let_it_have(tmp_path: Path) -> None:
    assert needed(tmp_path) > LAST


LAST = 24


@pytest.mark.parametrize("more", range(0, LAST + 1, 3))
def test_wherever_the_disk_fills_the_run_goes_on_and_repeats_nothing_finished(tmp_path: Path, more: int) -> None:
    effects = EffectLog(tmp_path / "effects")
    with open_team(script(), tmp_path / "x.db", writer(effects, effect="idempotent")) as team:
        room(team, more)
        with pytest.raises(PersistenceError, match=r"no space left to write .*x\.db: free some, then resume"):
            team.run("go", thread_id="t", auto_approve=True)
        before = worked(model_of(team))
    first = effects.counts()

    with open_team(script(), tmp_path / "x.db", writer(effects, effect="idempotent")) as team:
        kept = finished(team)
        run = go_on(team)
        again = worked(model_of(team))
        assert run.status == "done"
        assert run.answer == ANSWER
        assert statuses(run.outcomes) == dict.fromkeys(IDS, "succeeded")
        texts = {entry.sub_task_id: entry.text for entry in team.memory.all() if entry.status == "final"}
        assert texts == {name: f"result of {name}: {long(name)}" for name in IDS}

    assert kept <= set(before)
    assert not kept & set(again), "a sub-task whose result was saved is not executed again"
    both = effects.counts()
    assert set(both) == set(IDS)
    assert all(both[name] == 1 for name in kept)
    assert all(both[name] - first[name] <= 1 for name in IDS)


def once_more(folder: Path, more: int, effects: EffectLog, ever: set[str]) -> Any:
    """Goes on in a new process's way with room for so many pages; None when that was not enough."""
    with open_team(script(), folder / "x.db", writer(effects, effect="idempotent")) as team:
        before = finished(team)
        assert ever <= before, "what was saved stays saved"
        ever |= before
        room(team, more)
        try:
            return go_on(team)
        except PersistenceError:
            return None
        finally:
            assert not before & set(worked(model_of(team)))


@pytest.mark.parametrize("more", [9])
def test_a_disk_that_fills_again_and_again_is_no_worse(tmp_path: Path, more: int) -> None:
    effects = EffectLog(tmp_path / "effects")
    ever: set[str] = set()
    refused = 0
    while (run := once_more(tmp_path, more, effects, ever)) is None:
        refused += 1
        assert refused < 100, "each time there is new room"
    assert refused > 0
    assert run.answer == ANSWER
    assert set(effects.counts()) == set(IDS)


@pytest.mark.parametrize("more", range(1, LAST + 1, 7))
def test_an_effect_that_must_happen_once_never_happens_twice(tmp_path: Path, more: int) -> None:
    effects = EffectLog(tmp_path / "effects")
    with open_team(script(), tmp_path / "x.db", writer(effects, effect="once")) as team:
        room(team, more)
        with pytest.raises(PersistenceError, match="no space left"):
            team.run("go", thread_id="t", auto_approve=True)
    with open_team(script(), tmp_path / "x.db", writer(effects, effect="once")) as team:
        assert go_on(team).answer == ANSWER
        told = [text for request in model_of(team).requests for role, text in request.messages if role == "tool"]
    unknown = sum("It was not repeated" in text for text in told)
    counts = effects.counts()
    assert all(count == 1 for count in counts.values())
    assert len(counts) + unknown >= len(IDS), "what may not have happened is said to the worker"


def test_a_decision_that_finds_no_room_is_not_taken_for_made(tmp_path: Path) -> None:
    with open_team(script(), tmp_path / "x.db", writer(EffectLog(tmp_path / "effects"))) as team:
        review = team.run("go", thread_id="t").reviews[0]
        room(team, 0)
        with pytest.raises(PersistenceError, match="no space left"):
            team.decide(review.id, "reject", "Not like this. " * 2000)
        room(team, MORE_PAGES)
        assert [open_.id for open_ in team.reviews()] == [review.id]
        team.decide(review.id, "approve")
        assert team.resume("t").status in ("done", "waiting")


def test_the_command_says_it_in_one_line_exits_with_1_and_says_how_to_go_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    Persistence(str(tmp_path / "x.db")).close()
    real = sqlite3.connect

    def small(*arguments: Any, **named: Any) -> sqlite3.Connection:
        connection: sqlite3.Connection = real(*arguments, **named)
        [(here,)] = connection.execute("PRAGMA page_count").fetchall()
        connection.execute(f"PRAGMA max_page_count = {here + 4}")
        return connection

    def command(*arguments: str) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as exited:
            main([*arguments, "--db", str(tmp_path / "x.db")])
        return (int(str(exited.value.code)), *capsys.readouterr())

    plan = [step("a", agent="researcher"), step("b", agent="researcher"), step("c", "a", "b", agent="reviewer")]
    results = {name: f"result of {name}: {long(name)}" for name in "ab"}
    with OpenAIServer(TeamScript(plan, results=results, summary="Done [a] [b] [c].")) as server:
        with monkeypatch.context() as patch:
            patch.setattr("orchestrator.persistence.database.sqlite3.connect", small)
            code, out, err = command("run", "go", "--thread", "t", "--auto-approve", "--base-url", server.base_url)
        assert (code, out) == (1, "")
        assert err.count("no space left to write") == 1
        assert "orchestrator resume t" in err
        assert "Traceback" not in err
        code, out, err = command("resume", "t")
    assert (code, out.strip()) == (0, "Done.")


CHILD = """
import json, sys
from pathlib import Path
from tests.scenarios.test_full_disk import fill_up_and_go_on
print(json.dumps([fill_up_and_go_on(Path(sys.argv[1]), left) for left in (0, 40_000, 150_000)]))
"""


def fill_up_and_go_on(disk: Path, left: int) -> dict[str, Any]:
    """Runs on a real disk with so many bytes left until that is full, makes room, and goes on."""
    orchestrator.memory.recall.has_embedder = lambda: False  # type: ignore[assignment]  # as in the other tests
    db = disk / f"{left}.db"
    effects = EffectLog(disk.parent / f"effects-{left}")
    errors = []
    with open_team(script(), db, writer(effects, effect="idempotent")):
        pass  # the file and its tables are there before the disk fills
    ballast = disk / "ballast"
    with ballast.open("wb", buffering=0) as file:
        file.write(b"x" * (shutil.disk_usage(disk).free - left))
    try:
        with open_team(script(), db, writer(effects, effect="idempotent")) as team:
            team.run("go", thread_id="t", auto_approve=True)
    except PersistenceError as error:
        errors.append(str(error))
    ballast.unlink()
    with open_team(script(), db, writer(effects, effect="idempotent")) as team:
        kept = finished(team)
        run = go_on(team)
        again = worked(model_of(team))
    return {"errors": errors, "answer": run.answer, "kept": sorted(kept), "again": again, "effects": effects.counts()}


def test_a_real_disk_that_is_full_is_said_and_the_run_goes_on(tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = f'mount -t tmpfs -o size=8m tmpfs "{disk}"'
    alone = ["unshare", "--user", "--map-root-user", "--mount"]
    try:
        subprocess.run([*alone, "sh", "-c", mounted], check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError) as error:
        pytest.skip(f"no file system can be mounted here: {error}")
    run = [sys.executable, "-c", CHILD, str(disk)]
    child = subprocess.run(
        [*alone, "sh", "-c", f'{mounted} && exec "$@"', "sh", *run],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert child.returncode == 0, child.stderr[-2_000:]
    for found in json.loads(child.stdout):
        [said] = found["errors"]
        assert "no space left" in said.lower()
        assert found["answer"] == ANSWER
        assert not set(found["kept"]) & set(found["again"])
        assert set(found["effects"]) == set(IDS)
        assert all(found["effects"][name] == 1 for name in found["kept"])
