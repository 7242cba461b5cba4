"""A real `langgraph dev` for tests, in a folder of its own."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import httpx
from langgraph_sdk import get_sync_client

ROOT = Path(__file__).resolve().parents[2]
START_S = 200.0  # a slow machine imports for a while
END_S = 30.0


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


class Studio:
    """A `langgraph dev` process in a folder of its own, with its database."""

    def __init__(self, folder: Path, model_url: str, config: Path = ROOT / "langgraph.json") -> None:
        self.folder = folder
        self._config = config
        self.db = folder / "studio.db"
        self.log = folder / "server.log"
        self._env = {name: value for name, value in os.environ.items() if not name.startswith(("LANG", "OPENAI"))} | {
            "OPENAI_BASE_URL": model_url,
            "ORCHESTRATOR_DB": str(self.db),
            "LANGSMITH_TRACING": "false",
            "LANGGRAPH_CLI_NO_ANALYTICS": "1",
            "LANGGRAPH_NO_VERSION_CHECK": "true",
            "LANGGRAPH_STRICT_MSGPACK": "true",
        }
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        port = free_port()
        program = shutil.which("langgraph", path=str(Path(sys.executable).parent))
        assert program, "langgraph-cli[inmem] is not installed"
        command = [program, "dev", "--config", str(self._config), "--no-browser", "--no-reload"]
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [*command, "--port", str(port)],
                cwd=self.folder,
                env=self._env,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        self.url = f"http://127.0.0.1:{port}"
        self._await_health(self.url)
        self.client = get_sync_client(url=self.url, api_key=None)

    def _await_health(self, url: str) -> None:
        assert self._process is not None
        deadline = time.monotonic() + START_S
        while time.monotonic() < deadline and self._process.poll() is None:
            try:
                if httpx.get(f"{url}/ok", timeout=5).status_code == 200:
                    return
            except httpx.TransportError:
                time.sleep(0.1)
        self.end()
        raise AssertionError(f"langgraph dev did not come up:\n{self.log.read_text()[-4000:]}")

    def end(self, how: signal.Signals = signal.SIGTERM) -> None:
        if self._process is None:
            return
        process, self._process = self._process, None
        try:
            os.killpg(process.pid, how)
            process.wait(END_S)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait(END_S)
        except ProcessLookupError:
            process.wait(END_S)
        if hasattr(self, "client"):
            self.client.http.client.close()

    def kill_and_start(self) -> None:
        self.end(signal.SIGKILL)
        self.start()

    def settle(self, thread_id: str) -> None:
        """Wait for runs that the server restarts by itself: its notes, some seconds old, call them unfinished."""
        while any(run["status"] in ("pending", "running") for run in self.client.runs.list(thread_id)):
            time.sleep(0.1)

    def run(self, thread_id: str, **given: Any) -> Any:
        return self.client.runs.wait(thread_id, "research_team", **given)

    def questions(self, thread_id: str) -> dict[str, Any]:
        """Return the open interrupts by their sub-task, or by kind."""
        tasks = self.client.threads.get_state(thread_id)["tasks"]
        found = [interrupt for task in tasks for interrupt in task["interrupts"]]
        return {i["value"].get("sub_task_id") or i["value"]["kind"]: i for i in found}
