"""The benchmarks name modules of the engine in strings; they are there."""

import ast
import subprocess
import sys
from pathlib import Path

DRIVER = Path(__file__).resolve().parents[2] / "benchmarks" / "peers" / "drivers" / "orchestrator_.py"


def test_the_imports_of_the_cold_start_job_work() -> None:
    assigned = [node for node in ast.parse(DRIVER.read_text()).body if isinstance(node, ast.Assign)]
    [code] = [ast.literal_eval(node.value) for node in assigned if ast.unparse(node.targets[0]) == "IMPORT"]
    subprocess.run([sys.executable, "-c", code], check=True)
