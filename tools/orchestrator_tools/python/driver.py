"""Runs pieces of Python inside the sandbox: started there by `python_bubblewrap`, it is never imported by it.

One line of JSON in for each piece, one line out. The code shares a process with it and can do here what it likes,
so nothing in this file protects anybody: whoever reads the answers must take them for the code's own words. What
holds it are the namespaces, the system call filter and the limits of the process, all of them set before the first
line of code comes in.
"""

import ast
import json
import linecache
import os
import resource
import sys
import traceback
import types
from typing import Any

_MOST_ERROR = 4_000


def give_up_privileges(uid: int) -> None:
    """Becomes a real ordinary user where it was started as root; the kernel limits no processes of root.

    Args:
        uid: The user, and group, to become.
    """
    os.setgroups([])
    os.setresgid(uid, uid, uid)
    os.setresuid(uid, uid, uid)
    if os.getresuid() != (uid, uid, uid) or os.getresgid() != (uid, uid, uid) or os.getgroups():
        raise SystemExit("the sandbox could not give up root")


def set_limits(limits: dict[str, int]) -> None:
    """Sets limits that the process cannot raise again.

    Args:
        limits: Values by the names of the module `resource`.
    """
    for name, value in limits.items():
        resource.setrlimit(getattr(resource, name), (value, value))


class Interpreter:
    """Python with a memory.

    Args:
        most: Most bytes of print and characters of a value that are told.
    """

    def __init__(self, most: int) -> None:
        self.most = most
        self.count = -1
        module = types.ModuleType("__main__")
        sys.modules["__main__"] = module
        self.names = module.__dict__
        # Without a name in the folder: nobody can put a link there.
        self.printed = os.open("/tmp", os.O_TMPFILE | os.O_RDWR | os.O_APPEND, 0o600)

    def answer(self, code: str) -> dict[str, Any]:
        """What becomes of a piece of code.

        Args:
            code: Python.
        """
        self.count += 1
        os.ftruncate(self.printed, 0)
        for number in (1, 2):  # anew every time: the code may have closed them
            os.dup2(self.printed, number)
        sys.stdout, sys.stderr = _text(1), _text(2)
        told = self._run(code, f"<python-input-{self.count}>")
        for stream in (sys.stdout, sys.stderr):
            try:
                stream.flush()
            except (OSError, ValueError, AttributeError) as error:
                told.setdefault("error", f"{type(error).__name__}: {error}")
        raw = os.pread(self.printed, self.most, 0)
        told["printed"] = raw.decode("utf-8", "replace")
        told["left_out"] = os.fstat(self.printed).st_size - len(raw)
        return told

    def _run(self, code: str, name: str) -> dict[str, Any]:
        linecache.cache[name] = (len(code), None, code.splitlines(keepends=True), name)
        try:
            tree = ast.parse(code, name)
            last = tree.body.pop() if tree.body and isinstance(tree.body[-1], ast.Expr) else None
            exec(compile(tree, name, "exec"), self.names)
            if isinstance(last, ast.Expr):
                value = eval(compile(ast.Expression(last.value), name, "eval"), self.names)
                return {} if value is None else {"value": repr(value)[: self.most]}
        except BaseException as error:  # noqa: BLE001 - sys.exit() and the like end the code, not the session
            return {"error": _traceback(error)}
        return {}


def _text(number: int) -> Any:
    return open(number, "w", buffering=1, encoding="utf-8", errors="backslashreplace", closefd=False)


def _traceback(error: BaseException) -> str:
    """The lines of the model's own code that led to the error, and the error."""
    lines = traceback.extract_tb(error.__traceback__)
    own = [line for line in lines if line.filename.startswith("<python-input")]
    shown = "".join(traceback.StackSummary.from_list(own).format())
    head = f"Traceback (most recent call last):\n{shown}" if shown else ""
    return (head + "".join(traceback.format_exception_only(type(error), error))).strip()[-_MOST_ERROR:]


def main() -> None:
    """Answers pieces of code until there are no more."""
    settings = json.loads(sys.argv[1])
    if settings["uid"] is not None:
        give_up_privileges(settings["uid"])
    os.umask(0o077)
    os.chdir("/workspace")
    set_limits(settings["limits"])
    questions, answers = os.fdopen(os.dup(0), "rb"), os.dup(1)
    nothing = os.open(os.devnull, os.O_RDWR)
    for number in (0, 1, 2):
        os.dup2(nothing, number)
    sys.argv = [""]
    interpreter = Interpreter(settings["most"])
    _tell(answers, {"id": "ready"})
    for line in questions:
        question = json.loads(line)
        _tell(answers, {**interpreter.answer(question["code"]), "id": question["id"]})


def _tell(answers: int, told: dict[str, Any]) -> None:
    rest = memoryview(json.dumps(told).encode() + b"\n")
    while rest:
        rest = rest[os.write(answers, rest) :]


if __name__ == "__main__":
    main()
