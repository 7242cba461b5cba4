"""Measure what the journal adds to a run: CPU and bytes of the jobs j3 and j4 with it and, in turn, without its writes.

    python benchmarks/journal.py [--reps 9] [--steps 100] [--runs 200]

Both are measured by turns in one process, and the medians of the ratios within a turn count: the load of a shared
machine falls on both alike. Without its writes, the facts are still made, and none is turned into a record.
"""

import argparse
import asyncio
import contextlib
import gc
import importlib
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest import mock

from orchestrator.journal.fact import Fact

PEERS = Path(__file__).resolve().parent / "peers"


@contextlib.contextmanager
def server() -> Iterator[int]:
    """Yield the port of the model server of the jobs, in a process of its own."""
    process = subprocess.Popen([sys.executable, str(PEERS / "server.py")], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    try:
        yield int(process.stdout.readline())
    finally:
        process.terminate()
        process.wait(10)


async def turn(job: str, size: int, port: int) -> tuple[float, int]:
    """Return the seconds of CPU and the bytes on disk of one turn of a job.

    Args:
        job: Its name.
        size: The number of steps of j3, or of runs of j4.
        port: The model server.
    """
    common: Any = importlib.import_module("common")
    host: Any = importlib.import_module("host")
    driver: Any = importlib.import_module("drivers.orchestrator_")
    steps, width = (size, 1) if job == "j3" else (0, size)
    with tempfile.TemporaryDirectory() as folder:
        url = f"http://127.0.0.1:{port}/v1"
        context = common.Ctx(base_url=url, job=job, n=steps, db=folder, persist=True)
        host.ctl(port, "reset", {"job": job})
        app = await driver.open(context)
        gc.collect()
        began = time.process_time()
        goal = common.goal(job, steps)
        finals = await asyncio.gather(*(driver.run(app, context, goal, f"run{at}") for at in range(width)))
        used = time.process_time() - began
        await driver.close(app)
        wanted = steps or len(common.JOBS[job]["tasks"])
        assert all(f"[[FINAL:{job}:{wanted}]]" in final for final in finals), finals
        return used, host.du(folder)


def _no_writes(*_: object) -> list[object]:
    return []  # `mock`'s own callables take longer than the journal


async def measure(job: str, size: int, reps: int, port: int) -> None:
    """Print the figures of one job."""
    ratios: list[float] = []
    rows: dict[bool, list[tuple[float, int]]] = {True: [], False: []}
    for rep in range(reps + 1):
        for has_journal in (True, False) if rep % 2 else (False, True):
            with contextlib.nullcontext() if has_journal else mock.patch.object(Fact, "ops", _no_writes):
                rows[has_journal].append(await turn(job, size, port))
        if rep == 0:  # a warm-up
            rows = {True: [], False: []}
            continue
        ratios.append(rows[True][-1][0] / rows[False][-1][0])
    milliseconds = {has: statistics.median(cpu for cpu, _ in row) / size * 1000 for has, row in rows.items()}
    least = {has: min(cpu for cpu, _ in row) / size * 1000 for has, row in rows.items()}
    kilobytes = {has: statistics.median(size for _, size in row) / 1024 for has, row in rows.items()}
    print(
        f"{job} of {size}: {milliseconds[True]:.2f} ms of CPU each with the journal, {milliseconds[False]:.2f} without "
        f"(minima {least[True]:.2f}, {least[False]:.2f}); ratio within a turn {statistics.median(ratios):.3f}, "
        f"of the minima {least[True] / least[False]:.3f}; "
        f"{kilobytes[True]:.0f} KB and {kilobytes[False]:.0f} KB on disk",
        flush=True,
    )


async def run(options: argparse.Namespace) -> None:
    """Print the figures of both jobs."""
    with server() as port:
        await measure("j3", options.steps, options.reps, port)
        await measure("j4", options.runs, options.reps, port)


if __name__ == "__main__":
    sys.path.insert(0, str(PEERS))
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--reps", type=int, default=9)
    parser.add_argument("--steps", type=int, default=100)
    parser.add_argument("--runs", type=int, default=200)
    asyncio.run(run(parser.parse_args()))
