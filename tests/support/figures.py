"""Measure the packages and hold the figures to their limits: python -m tests.support.figures

Exit with 1 when a limit is missed. `--list KIND` prints each offender of one kind with its file and line.
"""

import argparse
import ast
import io
import math
import re
import statistics
import sys
import tokenize
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("orchestrator", "tools/orchestrator_tools", "graphs/orchestrator_graphs")
_QUESTION = re.compile(r"(What|Whether|Where|Which|How|Who)\b")
_DIRECTIVE = re.compile(r"#!|#\s*(type:|noqa|pragma:|fmt:|mypy:|ruff:)")
_SHOWN = 3
# Factories that hold several tools each. A new function has to keep to the limit, and these may only shrink.
_KNOWN_LONG = {
    "python_tool": 62,
    "web_search": 68,
    "workspace_tools": 104,
}

Function = ast.FunctionDef | ast.AsyncFunctionDef
Definition = ast.ClassDef | Function


@dataclass(frozen=True)
class Offender:
    """One place in the code and its value.

    Args:
        where: The file, with a line where there is one.
        size: The larger, the worse.
        note: The words to print beside the place.
    """

    where: str
    size: float
    note: str

    def __str__(self) -> str:
        return f"{self.where}  {self.note}"


@dataclass(frozen=True)
class Figure:
    """One figure with its limit.

    Args:
        kind: The name for `--list`.
        name: The words for a reader.
        value: The measured value as text.
        limit: The limit as text.
        holds: True if the limit holds.
        offenders: Places over the limit, or the ones closest to it.
    """

    kind: str
    name: str
    value: str
    limit: str
    holds: bool
    offenders: list[Offender]


class Source:
    """One Python file.

    Args:
        path: The file.
        module: Its dotted name.
        root: The folder that paths are printed relative to.
    """

    def __init__(self, path: Path, module: str, root: Path = ROOT) -> None:
        self.path = path
        self.module = module
        self.name = path.relative_to(root).as_posix()
        self.text = path.read_text()
        self.length = len(self.text.splitlines())
        self.tree = ast.parse(self.text)

    def at(self, node: ast.AST) -> str:
        return f"{self.name}:{getattr(node, 'lineno', 1)}"

    @cached_property
    def comment_lines(self) -> int:
        """Lines with a comment for a reader; directives for tools do not count."""
        tokens = tokenize.generate_tokens(io.StringIO(self.text).readline)
        comments = (token for token in tokens if token.type == tokenize.COMMENT)
        return len({token.start[0] for token in comments if not _DIRECTIVE.match(token.string)})

    @cached_property
    def definitions(self) -> list[tuple[str, Definition]]:
        """Every class and function with its dotted name inside the module."""
        return list(_definitions(self.tree, ""))

    def imports(self, modules: set[str]) -> set[str]:
        """Return the modules of the project that this one imports, inside functions too.

        Args:
            modules: The names of all modules.
        """
        targets = set()
        for node in _without_type_checking(self.tree):
            targets.update(module for module in self._targets(node, modules) if module in modules)
        return targets - {self.module}

    def _targets(self, node: ast.AST, modules: set[str]) -> Iterator[str]:
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = self._absolute(node)
            for alias in node.names:
                submodule = f"{base}.{alias.name}"
                yield submodule if submodule in modules else base
        elif isinstance(node, ast.Call) and ast.unparse(node.func).endswith("import_module"):
            yield from (arg.value for arg in node.args[:1] if isinstance(arg, ast.Constant))

    def _absolute(self, node: ast.ImportFrom) -> str:
        if not node.level:
            return node.module or ""
        levels_up = node.level - (self.path.name == "__init__.py")
        parts = self.module.split(".")
        return ".".join([*parts[: len(parts) - levels_up], *filter(None, [node.module])])


def _definitions(node: ast.AST, prefix: str) -> Iterator[tuple[str, Definition]]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, Definition):
            yield prefix + child.name, child
            yield from _definitions(
                child, f"{prefix}{child.name}.{'' if isinstance(child, ast.ClassDef) else '<locals>.'}"
            )
        else:
            yield from _definitions(child, prefix)


def _without_type_checking(node: ast.AST) -> Iterator[ast.AST]:
    """Walk the tree without the bodies of `if TYPE_CHECKING`."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.If) and ast.unparse(child.test).endswith("TYPE_CHECKING"):
            for other in child.orelse:
                yield other
                yield from _without_type_checking(other)
        else:
            yield child
            yield from _without_type_checking(child)


def read_sources(root: Path = ROOT, packages: Sequence[str] = PACKAGES) -> list[Source]:
    """Read every Python file of the packages.

    Args:
        root: The repository.
        packages: The folders of the packages below it.
    """
    sources = []
    for package in packages:
        base = (root / package).parent
        for path in sorted((root / package).rglob("*.py")):
            parts = path.relative_to(base).with_suffix("").parts
            sources.append(Source(path, ".".join(parts[:-1] if parts[-1] == "__init__" else parts), root))
    return sources


def folder_sizes(sources: Iterable[Source]) -> Figure:
    names = (Path(s.name) for s in sources)
    counts = Counter(name.parent.as_posix() for name in names if name.name != "__init__.py")
    rows = [Offender(f"{folder}/", size, f"{size} files") for folder, size in counts.items()]
    return _at_most("folders", "largest folder, in Python files", rows, 15)


def file_median(sources: Iterable[Source]) -> Figure:
    median = statistics.median(s.length for s in sources)
    return Figure("median", "median file, in lines", f"{median:g}", "at most 150", median <= 150, [])


def file_sizes(sources: Iterable[Source]) -> Figure:
    rows = [Offender(s.name, s.length, f"{s.length} lines") for s in sources]
    return _at_most("files", "longest file, in lines", rows, 400)


def function_p95(sources: Iterable[Source]) -> Figure:
    sizes = sorted(row.size for row in _functions(sources))
    p95 = sizes[math.ceil(0.95 * len(sizes)) - 1]
    return Figure("p95", "95 % of the functions, in lines", f"{p95:g}", "at most 30", p95 <= 30, [])


def function_sizes(sources: Iterable[Source]) -> Figure:
    rows = _functions(sources)
    over = [row for row in _worst(rows) if row.size > max(60, _KNOWN_LONG.get(row.note.split(":")[0], 0))]
    longest = f"{max(row.size for row in rows):g}"
    limit = f"at most 60, but for {len(_KNOWN_LONG)} that are known"
    return Figure("functions", "longest function, in lines", longest, limit, not over, over)


def _functions(sources: Iterable[Source]) -> list[Offender]:
    return [
        Offender(s.at(node), size, f"{name}: {size} lines")
        for s in sources
        for name, node in s.definitions
        if isinstance(node, Function)
        for size in [(node.end_lineno or node.lineno) - node.lineno + 1]
    ]


def class_sizes(sources: Iterable[Source]) -> Figure:
    rows = [
        Offender(s.at(node), size, f"{name}: {size} methods")
        for s in sources
        for name, node in s.definitions
        if isinstance(node, ast.ClassDef)
        for size in [sum(isinstance(child, Function) for child in node.body)]
    ]
    return _at_most("classes", "most methods of a class", rows, 20)


def import_circles(sources: Sequence[Source]) -> Figure:
    modules = {s.module for s in sources}
    graph = {s.module: s.imports(modules) for s in sources}
    circles = [sorted(circle) for circle in _components(graph) if len(circle) > 1]
    path_of = {s.module: s.name for s in sources}
    rows = [Offender(path_of[c[0]], len(c), "imports in a circle: " + ", ".join(c)) for c in circles]
    return Figure("imports", "import circles, lazy imports included", str(len(rows)), "none", not rows, _worst(rows))


def _components(graph: dict[str, set[str]]) -> list[set[str]]:
    """Return the sets of modules that reach each other."""
    reach = {module: _reachable(graph, module) for module in graph}
    components: list[set[str]] = []
    for module in graph:
        if not any(module in component for component in components):
            components.append({module} | {other for other in reach[module] if module in reach[other]})
    return components


def _reachable(graph: dict[str, set[str]], start: str) -> set[str]:
    reached: set[str] = set()
    waiting = list(graph[start])
    while waiting:
        module = waiting.pop()
        if module not in reached:
            reached.add(module)
            waiting.extend(graph[module])
    return reached


def docstring_openings(sources: Iterable[Source]) -> Figure:
    texts = [
        (s.at(node.body[0]), docstring)
        for s in sources
        for node in [s.tree, *(node for _, node in s.definitions)]
        if (docstring := ast.get_docstring(node))
    ]
    rows = [Offender(at, 1, text.splitlines()[0]) for at, text in texts if _QUESTION.match(text)]
    share = len(rows) / len(texts)
    value = f"{share:.1%} ({len(rows)} of {len(texts)})"
    name = "docstrings that open with What, Whether, Where, …"
    return Figure("docstrings", name, value, "under 1 %", share < 0.01, rows)


def comment_lines(sources: Sequence[Source]) -> Figure:
    total = sum(s.comment_lines for s in sources)
    share = total / sum(s.length for s in sources)
    rows = [
        Offender(s.name, s.length * 0.03 - s.comment_lines, f"{s.comment_lines} in {s.length} lines")
        for s in sources
        if s.comment_lines < s.length * 0.03
    ]
    return Figure("comments", "lines with a comment", f"{share:.2%}", "at least 3 %", share >= 0.03, _worst(rows))


def documented(sources: Sequence[Source]) -> Figure:
    public = [(s.name + ":1", s.module, s.tree) for s in sources]
    public += [(s.at(node), name, node) for s in sources for name, node in s.definitions if _is_public(name, node)]
    rows = [Offender(at, 1, name) for at, name, node in public if not ast.get_docstring(node)]
    share = 1 - len(rows) / len(public)
    return Figure("undocumented", "public definitions with a docstring", f"{share:.1%}", "all", not rows, rows)


def _is_public(name: str, node: Definition) -> bool:
    decorators = [ast.unparse(decorator) for decorator in node.decorator_list]
    has_docstring_elsewhere = any(decorator.endswith(("overload", ".setter", ".deleter")) for decorator in decorators)
    return not has_docstring_elsewhere and not any(part.startswith(("_", "<")) for part in name.split("."))


def _at_most(kind: str, name: str, rows: list[Offender], limit: int) -> Figure:
    ordered = _worst(rows)
    over = [row for row in ordered if row.size > limit]
    return Figure(kind, name, f"{ordered[0].size:g}", f"at most {limit}", not over, over or ordered[:1])


def _worst(rows: Iterable[Offender]) -> list[Offender]:
    return sorted(rows, key=lambda row: -row.size)


FIGURES: tuple[Callable[[Sequence[Source]], Figure], ...] = (
    folder_sizes,
    file_median,
    file_sizes,
    function_p95,
    function_sizes,
    class_sizes,
    import_circles,
    docstring_openings,
    comment_lines,
    documented,
)


def measure(sources: Sequence[Source]) -> list[Figure]:
    """Return every figure of the sources, in the order of the table.

    Args:
        sources: The files to measure.
    """
    return [figure(sources) for figure in FIGURES]


def table(figures: Sequence[Figure]) -> str:
    """Return the figures as a table with the worst offenders of each missed limit.

    Args:
        figures: The measured figures.
    """
    lines = []
    for figure in figures:
        mark = "ok    " if figure.holds else "MISSED"
        lines.append(f"{mark}  {figure.name:<52} {figure.value:>20}   {figure.limit}")
        lines += [f"          {row}" for row in figure.offenders[: _SHOWN if not figure.holds else 0]]
        if not figure.holds and len(figure.offenders) > _SHOWN:
            lines.append(f"          and {len(figure.offenders) - _SHOWN} more: --list {figure.kind}")
    return "\n".join(lines)


def main(argv: Sequence[str] | None = None) -> int:
    """Print the table or one list of offenders, and return the exit code.

    Args:
        argv: The command line; None takes the one of the process.
    """
    figures = measure(read_sources())
    parser = argparse.ArgumentParser(prog="python -m tests.support.figures", description=__doc__)
    parser.add_argument("--list", choices=[figure.kind for figure in figures], help="print each offender of one kind")
    kind = parser.parse_args(argv).list
    if kind:
        [chosen] = [figure for figure in figures if figure.kind == kind]
        sys.stdout.write("".join(f"{row}\n" for row in chosen.offenders))
        return 0 if chosen.holds else 1
    sys.stdout.write(table(figures) + "\n")
    return 0 if all(figure.holds for figure in figures) else 1


if __name__ == "__main__":
    sys.exit(main())
