"""The figures of the packages: what each one counts."""

from pathlib import Path

import pytest

from tests.support import figures


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    """A repository with one package of three files."""
    (tmp_path / "shop").mkdir()
    (tmp_path / "shop" / "__init__.py").write_text('"""A shop."""\n')
    (tmp_path / "shop" / "till.py").write_text('"""The till."""\n')
    (tmp_path / "shop" / "stock.py").write_text('"""The stock."""\n')
    return tmp_path


def figure_of(root: Path, kind: str) -> figures.Figure:
    [figure] = [f for f in figures.measure(figures.read_sources(root, ["shop"])) if f.kind == kind]
    return figure


def write(root: Path, name: str, text: str) -> None:
    (root / "shop" / name).write_text(text)


# A file without a function has no figure for functions, so each text has one.
CODE = 'def sell() -> None:\n    """Sell."""\n\n\nclass Till:\n    """A till."""\n'


@pytest.fixture(autouse=True)
def code(shop: Path) -> None:
    write(shop, "code.py", '"""Code."""\n' + CODE)


@pytest.mark.parametrize(
    ("first", "second", "circles"),
    [
        ("import shop.stock", "import shop.till", 1),
        ("from shop import stock", "from shop.till import x", 1),
        ("from . import stock", "def f():\n    from .till import x", 1),
        ("import shop.stock", "def f():\n    import_module('shop.till')", 1),
        ("import shop.stock", "if TYPE_CHECKING:\n    import shop.till", 0),
        ("import shop.stock", "if TYPE_CHECKING:\n    pass\nelse:\n    import shop.till", 1),
        ("import shop.stock", "import json", 0),
    ],
)
def test_an_import_circle_is_seen_however_it_is_written(shop: Path, first: str, second: str, circles: int) -> None:
    write(shop, "till.py", first)
    write(shop, "stock.py", second)
    figure = figure_of(shop, "imports")
    assert figure.value == str(circles)
    assert figure.holds == (not circles)


def test_a_circle_of_three_is_one_circle(shop: Path) -> None:
    write(shop, "a.py", "import shop.b")
    write(shop, "b.py", "import shop.c")
    write(shop, "c.py", "import shop.a")
    assert [row.note for row in figure_of(shop, "imports").offenders] == ["imports in a circle: shop.a, shop.b, shop.c"]


def test_docstrings_that_open_with_a_question_are_named_with_their_line(shop: Path) -> None:
    write(shop, "till.py", '"""Whatever."""\n\n\ndef f():\n    """Which till it is."""\n')
    assert [str(row) for row in figure_of(shop, "docstrings").offenders] == ["shop/till.py:5  Which till it is."]


def test_directives_for_tools_are_no_comments(shop: Path) -> None:
    write(shop, "till.py", "x = 1  # noqa: E501\ny = 2  # type: ignore[name]\nz = '# 3'\n# a reason\n")
    [till] = [s for s in figures.read_sources(shop, ["shop"]) if s.module == "shop.till"]
    assert till.comment_lines == 1


def test_public_definitions_need_a_docstring(shop: Path) -> None:
    methods = "    def __len__(self): ...\n    def open(self): ...\n    @x.setter\n    def x(self, value): ...\n"
    write(shop, "till.py", "class Till:\n" + methods + "    def _shut(self):\n        def inner(): ...\n")
    assert [row.note for row in figure_of(shop, "undocumented").offenders] == ["shop.till", "Till", "Till.open"]


def test_sizes_over_their_limit_are_named(shop: Path) -> None:
    methods = "".join(f"    def m{n}(self): ...\n" for n in range(21))
    write(shop, "till.py", "class Till:\n" + methods + "def f():\n" + "    x = 1\n" * 60 + "\n" * 320)
    for n in range(13):
        write(shop, f"f{n}.py", "")
    offenders = {kind: [str(row) for row in figure_of(shop, kind).offenders] for kind in ("folders", "files")}
    assert offenders == {"folders": ["shop/  16 files"], "files": ["shop/till.py  403 lines"]}
    assert [str(row) for row in figure_of(shop, "classes").offenders] == ["shop/till.py:1  Till: 21 methods"]
    assert [str(row) for row in figure_of(shop, "functions").offenders] == ["shop/till.py:23  f: 61 lines"]


def test_the_table_names_the_worst_and_how_to_see_all(shop: Path) -> None:
    write(shop, "till.py", "".join(f'def f{n}():\n    """Who."""\n' for n in range(5)))
    table = figures.table([figure_of(shop, "docstrings"), figure_of(shop, "folders")])
    assert "MISSED  docstrings that open" in table
    assert "shop/till.py:2  Who." in table
    assert "and 2 more: --list docstrings" in table
    assert "ok      largest folder" in table
