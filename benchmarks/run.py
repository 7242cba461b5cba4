"""Run the benchmarks: this project beside hand-written LangGraph and a bare floor, on one loopback server.

    python benchmarks/run.py [--jobs j1,j2,j3,j4,j5] [--only orchestrator,lg/db] [--reps 5]

Compare figures within one run only, as ratios: all jobs of a run are measured side by side on one machine.
"""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent / "peers"
SWITCHES = {
    "OPENAI_API_KEY": "sk-fake",
    "OTEL_SDK_DISABLED": "true",
    "LANGSMITH_TRACING": "false",
    "LANGCHAIN_TRACING_V2": "false",
}


def main() -> int:
    """Run `peers/bench.py` with the interpreter of this environment under each name that the harness expects."""
    with tempfile.TemporaryDirectory() as folder:
        for name in ("bare", "langgraph", "orchestrator"):
            (Path(folder) / name).symlink_to(sys.prefix)
        out = Path(folder) / "results.jsonl"
        command = [sys.executable, str(HERE / "bench.py"), "--venvs", folder, "--out", str(out), *sys.argv[1:]]
        return subprocess.run(command, env={**os.environ, **SWITCHES}, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
