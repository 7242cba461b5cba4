"""The process inside the sandbox: it runs pieces of Python. `bubblewrap` starts this file and never imports it.

It reads a line of JSON for each piece and writes a line of JSON back. The code shares the process and can change
anything here. So nothing in this file protects the host, and a reader of the answers must not trust them. Namespaces,
the system call filter and the limits of the process contain the code. They are set before the first piece is read.
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
    """Become an ordinary user after a start as root: the kernel sets no limits to processes of root.

    Args:
        uid: The user, and group, to become.
    """
    os.setgroups([])  # first, since it needs root
    os.setresgid(uid, uid, uid)
    os.setresuid(uid, uid, uid)
    if os.getresuid() != (uid, uid, uid) or os.getresgid() != (uid, uid, uid) or os.getgroups():
        raise SystemExit("the sandbox could not give up root")


def set_limits(limits: dict[str, int]) -> None:
    """Set limits that the process cannot raise again.

    Args:
        limits: Values by the names of the module `resource`.
    """
    for name, value in limits.items():
        resource.setrlimit(getattr(resource, name), (value, value))


class Interpreter:
    """Python that keeps its names between pieces of code.

    Args:
        most: Most bytes of print, and most characters of a value, in an answer.
    """

    def __init__(self, most: int) -> None:
        self.most = most
        self.count = -1
        module = types.ModuleType("__main__")
        sys.modules["__main__"] = module  # pickle looks there for the code's classes
        self.names = module.__dict__
        # A file without a name, so that no link can take its place.
        self.printed = os.open("/tmp", os.O_TMPFILE | os.O_RDWR | os.O_APPEND, 0o600)

    def answer(self, code: str) -> dict[str, Any]:
        """Run a piece of code and return its print, value and error.

        Args:
            code: Python.
        """
        self.count += 1
        os.ftruncate(self.printed, 0)
        for number in (1, 2):  # for each piece: the one before may have closed them
            os.dup2(self.printed, number)
        sys.stdout, sys.stderr = _text(1), _text(2)
        reply = self._run(code, f"<python-input-{self.count}>")
        for stream in (sys.stdout, sys.stderr):
            try:
                stream.flush()
            except (OSError, ValueError, AttributeError) as error:
                reply.setdefault("error", f"{type(error).__name__}: {error}")
        raw = os.pread(self.printed, self.most, 0)
        reply["printed"] = raw.decode("utf-8", "replace")
        reply["left_out"] = os.fstat(self.printed).st_size - len(raw)
        return reply

    def _run(self, code: str, name: str) -> dict[str, Any]:
        # So a traceback shows the lines of the code. Without a time, linecache does not look for a file.
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
    """Return the error, with the lines of the model's own code that led to it."""
    lines = traceback.extract_tb(error.__traceback__)
    own = [line for line in lines if line.filename.startswith("<python-input")]
    shown = "".join(traceback.StackSummary.from_list(own).format())
    head = f"Traceback (most recent call last):\n{shown}" if shown else ""
    return (head + "".join(traceback.format_exception_only(type(error), error))).strip()[-_MOST_ERROR:]


def main() -> None:
    """Answer pieces of code until the input ends."""
    settings = json.loads(sys.argv[1])
    if settings["uid"] is not None:
        give_up_privileges(settings["uid"])
    os.umask(0o077)
    os.chdir("/workspace")
    set_limits(settings["limits"])
    questions, answers = os.fdopen(os.dup(0), "rb"), os.dup(1)
    nothing = os.open(os.devnull, os.O_RDWR)
    # Code keeps no hold of the pipes: input() finds an end, and print writes no answer.
    for number in (0, 1, 2):
        os.dup2(nothing, number)
    sys.argv = [""]
    interpreter = Interpreter(settings["most"])
    _write(answers, {"id": "ready"})
    for line in questions:
        question = json.loads(line)
        _write(answers, {**interpreter.answer(question["code"]), "id": question["id"]})


def _write(answers: int, reply: dict[str, Any]) -> None:
    rest = memoryview(json.dumps(reply).encode() + b"\n")
    while rest:
        rest = rest[os.write(answers, rest) :]


if __name__ == "__main__":
    main()
