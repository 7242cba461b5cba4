"""The calculator agrees with Python on arithmetic, and answers everything else with text, at once."""

import math
import time

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from orchestrator_tools.calculator import CalculationError, calculator, evaluate, normalise


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        ("1 + 2 * 3", 7),
        ("2 ** -1", 0.5),
        ("2^10", 1024),
        ("-2 ** 2", -4),
        ("7 // 2 + 7 % 4", 6),
        ("1,234.5 + 1", 1235.5),
        ("17,463,930 / 33,893", 17463930 / 33893),
        ("round(360,872 / 100,250, 2)", 3.6),
        ("round((360,872/100,250), 2)", 3.6),
        ("sum([1,200, 3,400])", 4600),
        ("sqrt(1,600)", 40),
        ("max(1, 234)", 234),
        ("15% of 200", 30),
        ("15 % of (100 + 100)", 30),
        ("50% * 8", 4),
        ("17 % 5", 2),
        ("6 \xd7 7 =", 42),
        ("8 \xf7 4 \u2212 1", 1),
        ("mean(1, 2, 6)", 3),
        ("median([5, 1, 3])", 3),
        ("log(8, 2) + log10(100) + log2(4) + ln(e)", 8),
        ("floor(2.7) + ceil(2.1)", 5),
        ("pow(2, 0.5) ** 2", pow(2, 0.5) ** 2),
        ("pi * 2", 2 * math.pi),
        ("1_000 + 1", 1001),
    ],
)
def test_calculates(expression: str, value: float) -> None:
    assert evaluate(expression) == pytest.approx(value)


@pytest.mark.parametrize(("expression", "value"), [("3 > 2 > 1", True), ("1/3 >= 0.34", False), ("2 == 2.0", True)])
def test_compares(expression: str, value: bool) -> None:
    assert evaluate(expression) is value


@pytest.mark.parametrize(
    ("expression", "hint"),
    [
        ("max(1,234)", "one number or several; write 1234 or '1, 234'"),
        ("5% + 3", "write 5 / 100"),
        ("1,23 + 4", "decimals with '.'"),
        ("1,234,56", "groups have three digits"),
        ("1.234.567", "'.' for decimals"),
        ("2(3)", "products with '*'"),
        ("1 / 0", "division by zero"),
        ("0 ** -1", "division by zero"),
        ("sqrt(-1)", "not defined"),
        ("(-8) ** 0.5", "negative number"),
        ("log(0)", "not defined"),
        ("1e999", "too large"),
        ("1 +", "not a complete expression"),
        ("", "nothing to calculate"),
        ("sqrt(1, 2)", "sqrt takes 1"),
        ("pow(2)", "pow takes 2"),
        ("round(2.5, 0.5)", "round(2.345, 2)"),
        ("(1 < 2) + 1", "must stand alone"),
        ("17,463,930 people / 33,893", "'people' is not known"),
    ],
)
def test_says_what_to_write_instead(expression: str, hint: str) -> None:
    answer = calculator().invoke({"expression": expression})
    assert answer.startswith("error: ")
    assert hint in answer


HOSTILE = [
    "9**9**9",
    "9**9**9**9**9",
    "(9**300)**(9**300)",
    "2**1024",
    "10**308 * 10",
    "exp(10**6)",
    "round(9, -10**9)",
    "9" * 5000,
    "-" * 499 + "1",
    "(" * 240 + "1" + ")" * 240,
    "sqrt(" * 80 + "1" + ")" * 80,
    "__import__('os').system('true')",
    "().__class__.__bases__[0].__subclasses__()",
    "[x for x in range(10**9)]",
    "lambda: 1",
    "(lambda f: f(f))(lambda f: f(f))",
    "open('/etc/passwd')",
    "'a' * 10**9",
    "[1] * 10**9",
    "pi.real",
    "e.__class__",
    "sum(*[1])",
    "sum(pi=1)",
    "sum",
    "f'{1}'",
    "1j ** 2",
    "True + 1",
    "1 if 1 else 2",
    "(x := 1)",
    "eval(1)",
    "0x10",
    "\ud800",
    "\0",
    "\U0001f642",
    "\u0661\u0662 + 1",
    "max([])",
    "mean()",
    "min([[1]])",
]


@pytest.mark.parametrize("expression", HOSTILE)
def test_refuses_what_is_no_arithmetic_at_once(expression: str) -> None:
    began = time.process_time()
    answer = calculator().invoke({"expression": expression})
    assert answer.startswith("error: ")
    assert time.process_time() - began < 5


_NUMBERS = st.one_of(
    st.integers(0, 10**9).map(str),
    st.floats(0, 1e6, allow_nan=False).map(lambda number: f"{number:.6f}"),
)


def _grow(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    return st.one_of(
        st.builds("{} {} {}".format, inner, st.sampled_from(["+", "-", "*", "/", "//", "**", "<"]), inner),
        st.builds("({})".format, inner),
        st.builds("-{}".format, inner),
        st.builds("{}({})".format, st.sampled_from(["abs", "sqrt", "floor", "ceil", "exp", "round"]), inner),
        st.builds("{}({}, {})".format, st.sampled_from(["min", "max"]), inner, inner),
    )


_EXPRESSIONS = st.recursive(_NUMBERS, _grow, max_leaves=8)
_PYTHON = {
    "__builtins__": {},
    **{name: getattr(math, name) for name in ("sqrt", "floor", "ceil", "exp")},
    "abs": abs,
    "round": round,
    "min": min,
    "max": max,
}


@settings(max_examples=300, deadline=None)
@given(_EXPRESSIONS)
@example("round(2.5)")
@example("2 ** 3 ** 2")
@example("-2 ** 2")
def test_agrees_with_python(expression: str) -> None:
    try:
        value = evaluate(expression)
    except CalculationError:
        return  # its own limits; that valid ones are not refused is for the table above
    assert value == eval(expression, dict(_PYTHON))


_SCRAPS = st.lists(
    st.sampled_from(
        [
            *"0123456789.,%()[]+-*/<>=! _eE'",
            "**",
            "//",
            "sum(",
            "round(",
            "max(",
            "1,234",
            "of",
            "if",
            "999",
            "%of",
        ]
    ),
    max_size=30,
).map("".join)


@settings(max_examples=300, deadline=2_000)
@given(st.one_of(_SCRAPS, st.text(max_size=60)))
def test_any_text_gets_an_answer(expression: str) -> None:
    answer = calculator().invoke({"expression": expression})
    assert answer.startswith("error: ") or " = " in answer or " is " in answer


@given(st.integers(1_000, 10**12), st.integers(1_000, 10**9))
def test_thousands_separators_change_nothing(one: int, other: int) -> None:
    assert normalise(f"{one:,} / {other:,}") == f"{one} / {other}"


def test_says_how_it_read_the_expression() -> None:
    assert calculator().invoke({"expression": "1,200 / 7"}) == "1200 / 7 = 171.428571429"


def test_wrong_arguments_come_back_as_text() -> None:
    assert calculator().invoke({}).startswith("error: wrong arguments (expression: ")


def test_an_error_is_marked_as_one_for_the_agent() -> None:
    call = {"name": "calculate", "args": {"expression": "1/0"}, "id": "1", "type": "tool_call"}
    assert calculator().invoke(call).status == "error"


async def test_works_in_async_code() -> None:
    assert await calculator().ainvoke({"expression": "6 * 7"}) == "6 * 7 = 42"


def test_says_what_it_does() -> None:
    tool = calculator()
    assert tool.metadata is not None
    assert {"risk": "read", "effect": "none", "trust": "trusted"}.items() <= tool.metadata.items()
    assert '"tool": "calculate"' in tool.metadata["example"]
    assert "For example: calculate(" in tool.description
    assert "description" in tool.args["expression"]


def test_several_results_have_names_that_later_ones_use() -> None:
    said = calculator().invoke({"expression": "a = 360,872 / 100,250; b = 12 / 4\nround(b / a, 3)"})
    assert said.splitlines() == ["a = 360872 / 100250 = 3.59972069825", "b = 12 / 4 = 3", "round(b / a, 3) = 0.833"]


def test_of_the_largest_and_smallest_of_named_results_it_says_the_name() -> None:
    said = calculator().invoke(
        {"expression": "oslo = 3/2; lima = 7/2; rome = 7/2; most = max(oslo, lima); min(rome, lima)"}
    )
    assert said.splitlines()[3:] == [
        "most = max(oslo, lima) = 3.5, which is lima",
        "min(rome, lima) = 3.5, which is rome and lima",
    ]
    assert calculator().invoke({"expression": "max(2, 3)"}) == "max(2, 3) = 3"


@pytest.mark.parametrize(
    ("expression", "hint"),
    [("b / a", "'b' is not known"), ("sum = 1 + 2", "'sum' means something else"), (" ; ", "nothing to calculate")],
)
def test_a_name_must_be_given_before_it_is_used_and_be_free(expression: str, hint: str) -> None:
    assert hint in calculator().invoke({"expression": expression})


def test_a_name_of_several_words_is_one_name() -> None:
    told = calculator().invoke({"expression": "total people = 2 + 3; 15% of total people; total people * 2"})
    assert told.splitlines()[0] == "total_people = 2 + 3 = 5"
    assert told.splitlines()[1].endswith("= 0.75")
    assert told.splitlines()[2] == "total_people * 2 = 10"
