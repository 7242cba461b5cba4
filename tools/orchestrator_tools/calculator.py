"""A calculator for models: arithmetic on numbers, and nothing else.

Invariants: an expression consists of known numbers, names and signs. Only nodes on a list of allowed ones are
evaluated. Every number stays below 1e308, so no step takes noticeable time or memory.

Also tried: an expression library (simpleeval). Such libraries evaluate strings, names and attributes too, and forbid
some of them by a list. Their limits let powers of millions of digits through.
"""

import ast
import math
import operator
import re
import statistics
from collections.abc import Callable, Collection, Mapping
from typing import Final

from langchain_core.tools import BaseTool, StructuredTool, ToolException

from orchestrator_tools.answers import bad_arguments

Number = int | float

_MAX_LENGTH: Final = 500
_MAX_DEPTH: Final = 50
_MAX_BITS: Final = 1023
"""An int of this many bits fits a float, so every conversion is safe."""

_TOKEN: Final = re.compile(
    r"(?P<number>(?:\d[\d_]*(?:,\d{3})+(?!\d)|\d[\d_]*)(?:\.\d*)?(?:[eE][+-]?\d+)?|\.\d+(?:[eE][+-]?\d+)?)"
    r"|(?P<name>[A-Za-z_]\w*)"
    r"|(?P<sign>\*\*|//|<=|>=|==|!=|[-+*/%()\[\],<>])"
    r"|(?P<space>\s+)",
    re.ASCII,  # \d and \w take digits and letters of all scripts otherwise
)
_SIGNS: Final = str.maketrans(
    # Typographic: times, middle dot, divided by, minus, en dash, at most, at least, no-break space.
    {
        "\xd7": "*",
        "\xb7": "*",
        "\xf7": "/",
        "\u2212": "-",
        "\u2013": "-",
        "\u2264": "<=",
        "\u2265": ">=",
        "\xa0": " ",
    }
    | {"^": "**"}  # models write powers so
)
_CONSTANTS: Final[dict[str, Number]] = {"pi": math.pi, "e": math.e}
_PERCENT: Final = " / 100)"
_LISTS: Final = ("sum", "mean", "median", "min", "max")
"""Functions of many numbers, which are given one by one or as a list."""

_EXAMPLE: Final = """Example. The results are: Loire 1,006 km, discharge 835; Rhine 1,233 km, discharge 2,900.
Sub-task: Divide discharge by length for each river, then the largest by the smallest.
Step: {"tool": "calculate", "args": {"expression": "loire = 835/1006; rhine = 2900/1233; most = max(loire, rhine); \
least = min(loire, rhine); most / least"}}
Result: loire = 0.83; rhine = 2.352; most = 2.352, which is rhine; least = 0.83, which is loire; most / least = 2.834
Step: {"tool": "answer", "text": "Loire: 0.83. Rhine: 2.352. The largest, Rhine, is 2.834 times the smallest."}"""

_SPACED_NAME: Final = re.compile(r"\b(?!of\b)[A-Za-z_]\w*(?:[ \t]+(?!of\b)[A-Za-z_]\w*)+", re.ASCII)  # total people


class CalculationError(ValueError):
    """An expression cannot be calculated. The message says what to write instead."""


def _round(number: Number, digits: Number = 0) -> Number:
    # For round(9, -10**9) Python computes 10 ** 10**9. A hundredth of that exponent takes more than 5 s.
    if not isinstance(digits, int) or abs(digits) > 300:
        raise CalculationError("the second argument of round must be a small whole number, as in round(2.345, 2)")
    # Without digits Python's round returns an int: a ".0" behind a whole number would puzzle the model.
    return round(number, digits) if digits else round(number)


def _log(number: Number, base: Number = math.e) -> float:
    return math.log(number) if base == math.e else math.log(number, base)


_ONE: Final[dict[str, Callable[[Number], Number]]] = {
    "sqrt": math.sqrt,
    "abs": abs,
    "exp": math.exp,
    "ln": math.log,
    "log10": math.log10,
    "log2": math.log2,
    "floor": math.floor,
    "ceil": math.ceil,
}
_MANY: Final[dict[str, tuple[Callable[..., Number], int]]] = {
    "round": (_round, 2),
    "log": (_log, 2),
    "pow": (lambda base, exponent: _power(base, exponent), 2),
    "sum": (lambda *numbers: sum(numbers), 200),
    "mean": (lambda *numbers: sum(numbers) / len(numbers), 200),
    "median": (lambda *numbers: statistics.median(numbers), 200),
    "min": (min, 200),
    "max": (max, 200),
}
_NAMES: Final = sorted([*_ONE, *_MANY])
_KNOWN: Final = "use numbers, + - * / // % **, comparisons, brackets, pi, e and " + ", ".join(_NAMES)


def _power(base: Number, exponent: Number) -> Number:
    whole = isinstance(base, int) and isinstance(exponent, int) and abs(base) > 1 and exponent > 0
    # Checked first: Python would compute the power in full before it could be refused.
    if whole and (abs(int(base)).bit_length() - 1) * exponent > _MAX_BITS:
        raise OverflowError
    result = base**exponent
    if isinstance(result, complex):
        raise CalculationError("a root of a negative number is not a real number; check the sign")
    return result


_BINARY: Final[dict[type[ast.operator], Callable[[Number, Number], Number]]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv,
    ast.Mod: operator.mod,
    ast.Pow: _power,
}
_UNARY: Final[dict[type[ast.unaryop], Callable[[Number], Number]]] = {
    ast.UAdd: operator.pos,
    ast.USub: operator.neg,
}
_COMPARE: Final[dict[type[ast.cmpop], Callable[[Number, Number], bool]]] = {
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
}


def normalise(expression: str, names: Collection[str] = ()) -> str:
    """Return the expression as Python writes it, without thousands separators, percents and typographic signs.

    Args:
        expression: The expression that a model wrote.
        names: Names of earlier results that the expression may use.

    Raises:
        CalculationError: A part of the expression is no arithmetic, or can be read in two ways.
    """
    if len(expression) > _MAX_LENGTH:
        raise CalculationError(f"longer than {_MAX_LENGTH} characters; calculate it in several steps")
    text = expression.strip().translate(_SIGNS).removesuffix("=").removeprefix("=").strip()
    if not text:
        raise CalculationError("there is nothing to calculate; give an expression such as 717710 / 454")
    pieces: list[str] = []
    position = 0
    # The function in front of each open bracket. Between a function's brackets a comma separates arguments.
    brackets: list[str] = []
    while position < len(text):
        matched = _TOKEN.match(text, position)
        if matched is None:
            raise CalculationError(f"'{text[position]}' has no place in a calculation; {_KNOWN}")
        token, kind = matched.group(), matched.lastgroup
        if kind == "number":
            position = _take_number(text, matched, brackets, pieces)
            continue
        if token == "of" and "".join(pieces).rstrip().endswith(_PERCENT):  # 15% of 200
            token = "*"
        elif kind == "name" and token not in _CONSTANTS and token not in _NAMES and token not in names:
            raise CalculationError(
                f"'{token}' is not known: write the number itself, as in 717710 / 454; otherwise {_KNOWN}"
            )
        if token in "([":
            before = next((piece for piece in reversed(pieces) if piece.strip()), "")
            brackets.append(before if before in _NAMES else "")
        elif token in ")]" and brackets:
            brackets.pop()
        elif token == "%":
            token = _percent(text, matched.end(), pieces)
        pieces.append(token)
        position = matched.end()
    return " ".join("".join(pieces).split())


def _take_number(text: str, matched: re.Match[str], brackets: list[str], pieces: list[str]) -> int:
    """Add a number without its thousands separators to the pieces, and return the position behind it."""
    number, end = matched.group(), matched.end()
    if "," in number and brackets and brackets[-1] in _MANY:
        # `max(1,234)` can be one number or two. Spaces behind the other commas show that they separate arguments.
        inside = _level(text, matched.start())
        if not re.search(r",\s", inside):
            plain = number.replace(",", "")
            raise CalculationError(
                f"'{number}' inside {brackets[-1]}(…) could be one number or several; "
                f"write {plain} or '{number.replace(',', ', ')}'"
            )
    if end < len(text) and (text[end].isalnum() or text[end] in "_."):
        raise CalculationError(f"'{number}{text[end]}' is not a number; write it in digits, with '.' for decimals")
    if "," in number and end < len(text) - 1 and text[end] == "," and text[end + 1].isdigit():
        raise CalculationError(f"'{number},' is not a number: groups have three digits; write it without commas")
    pieces.append(number.replace(",", ""))
    return end


def _level(text: str, position: int) -> str:
    """Return the text between the innermost brackets around a position, without nested brackets."""
    start, depth = position, 0
    while start > 0 and depth >= 0:
        start -= 1
        depth += {")": 1, "]": 1, "(": -1, "[": -1}.get(text[start], 0)
    kept, depth = [], 0
    for sign in text[start + 1 :]:
        depth += {"(": 1, "[": 1, ")": -1, "]": -1}.get(sign, 0)
        if depth < 0:
            break
        if depth == 0:
            kept.append(sign)
    return "".join(kept)


def _percent(text: str, end: int, pieces: list[str]) -> str:
    """Return `%` for a remainder. For a percent sign, change the number before it and return an empty text.

    Raises:
        CalculationError: The sign can be read in two ways.
    """
    rest = text[end:].lstrip()
    if rest.startswith(("+", "-")):
        raise CalculationError("'%' before a sign could be percent or remainder; write 5 / 100 for five percent")
    if rest and (rest[0].isalnum() or rest[0] in "(._") and not re.match(r"of\b", rest):
        return "%"
    last = next((position for position in reversed(range(len(pieces))) if pieces[position].strip()), None)
    if last is None or not pieces[last][-1].isdigit():
        raise CalculationError("'%' must stand behind a number; write 5 / 100 for five percent")
    pieces[last] = f"({pieces[last]}{_PERCENT}"
    return ""


def evaluate(expression: str) -> Number | bool:
    """Return the value of an expression.

    Args:
        expression: Arithmetic on numbers; comparisons give True or False.

    Raises:
        CalculationError: The expression cannot be calculated.
    """
    return _value_of(normalise(expression), _CONSTANTS)


def _value_of(text: str, known: Mapping[str, Number]) -> Number | bool:
    try:
        tree = ast.parse(text, mode="eval").body
        if isinstance(tree, ast.Compare):
            return _compare(tree, known)
        return _evaluate(tree, 0, known)
    except CalculationError:
        raise
    except ZeroDivisionError:
        raise CalculationError("division by zero; check the divisor") from None
    except OverflowError:
        raise CalculationError("the result is too large (limit 1e308); use smaller numbers or logarithms") from None
    except (SyntaxError, RecursionError, MemoryError) as error:
        raise CalculationError(f"this is not a complete expression ({type(error).__name__}); {_KNOWN}") from None
    except ValueError:
        raise CalculationError(
            "a function was given a number it is not defined for, such as log(0) or sqrt(-1)"
        ) from None


def _compare(node: ast.Compare, known: Mapping[str, Number]) -> bool:
    values = [_evaluate(part, 1, known) for part in [node.left, *node.comparators]]
    return all(
        _COMPARE[type(sign)](left, right) for sign, left, right in zip(node.ops, values, values[1:], strict=False)
    )


def _evaluate(node: ast.expr, depth: int, known: Mapping[str, Number]) -> Number:
    if depth > _MAX_DEPTH:
        raise CalculationError("nested too deeply; calculate it in several steps")
    match node:
        case ast.Constant(value=int() | float() as value) if not isinstance(value, bool):  # True is an int
            return _checked(value)
        case ast.Name(id=name) if name in known:
            return known[name]
        case ast.BinOp(left=left, op=sign, right=right) if type(sign) in _BINARY:
            return _checked(_BINARY[type(sign)](_evaluate(left, depth + 1, known), _evaluate(right, depth + 1, known)))
        case ast.UnaryOp(op=sign, operand=operand) if type(sign) in _UNARY:
            return _UNARY[type(sign)](_evaluate(operand, depth + 1, known))
        case ast.Call(func=ast.Name(id=name), args=arguments, keywords=[]) if name in _NAMES:
            return _checked(_call(name, arguments, depth, known))
        case ast.Tuple():
            raise CalculationError("commas outside a function: write decimals with '.', thousands in groups of three")
        case ast.Compare():
            raise CalculationError("a comparison must stand alone, as in 3 / 4 > 0.7")
    raise CalculationError(f"this is not arithmetic on numbers; {_KNOWN}; write products with '*'")


def _call(name: str, arguments: list[ast.expr], depth: int, known: Mapping[str, Number]) -> Number:
    if name in _LISTS and len(arguments) == 1 and isinstance(arguments[0], ast.List | ast.Tuple):
        arguments = arguments[0].elts
    values = [_evaluate(argument, depth + 1, known) for argument in arguments]
    most = 1 if name in _ONE else _MANY[name][1]
    least = 2 if name == "pow" else 1
    if not least <= len(values) <= most:
        raise CalculationError(f"{name} takes {least if least == most else f'{least} to {most}'} number(s)")
    return _ONE[name](values[0]) if name in _ONE else _MANY[name][0](*values)


def _checked(value: Number) -> Number:
    """Return the value.

    Raises:
        OverflowError: The value is too large for the next step.
    """
    if isinstance(value, int):
        if value.bit_length() > _MAX_BITS:
            raise OverflowError
    elif not math.isfinite(value):
        raise OverflowError
    return value


# The docstring is the tool's description for models.
def calculate(expression: str) -> str:
    """Calculates arithmetic expressions exactly.

    Use it for every calculation instead of reckoning in your head: densities, ratios, shares, growth, means.
    Only numbers, + - * / // % **, brackets, comparisons, pi, e and the functions sqrt, round, abs, min, max,
    sum, mean, median, log, ln, log10, log2, exp, pow, floor, ceil. No units.

    Several can be given at once, with ; between them, and their results can have names that later ones use.

    For example: calculate(expression="oslo = 717710 / 454; lima = 10092000 / 2672; max(oslo, lima) / min(oslo, lima)")

    Args:
        expression: One or more expressions, in figures.
    """
    known = dict(_CONSTANTS)
    lines = []
    try:
        joined = _SPACED_NAME.sub(lambda matched: "_".join(matched.group().split()), expression)
        for part in filter(str.strip, re.split(r"[;\n]", joined)):
            name, text = _named(part)
            text = normalise(text, known)
            value = _value_of(text, known)
            lines.append((f"{name} = " if name else "") + _line(text, value) + _name_of_extreme(text, value, known))
            if name and not isinstance(value, bool):
                known[name] = value
        if not lines:
            normalise("")
    except CalculationError as error:
        raise ToolException(f"error: {error}") from error
    return "\n".join(lines)


def _named(part: str) -> tuple[str, str]:
    """Return the name of a result, empty without one, and the expression.

    Raises:
        CalculationError: The name has a meaning already.
    """
    matched = re.match(r"\s*([A-Za-z_]\w*)\s*=(?!=)(.*\S.*)", part, re.ASCII)
    if matched is None:
        return "", part
    name = matched.group(1)
    if name in _NAMES or name in _CONSTANTS or name == "of":
        raise CalculationError(f"'{name}' means something else here; give the result another name")
    return name, matched.group(2)


def _name_of_extreme(text: str, value: Number | bool, known: Mapping[str, Number]) -> str:
    """Return the name of the largest or smallest of several named results; empty for other expressions."""
    if (matched := re.fullmatch(r"(?:max|min)\(([\w\s,]+)\)", text.strip(), re.ASCII)) is None:
        return ""
    names = [name for part in matched.group(1).split(",") if known.get(name := part.strip()) == value]
    return f", which is {' and '.join(names)}" if names else ""


def _line(text: str, value: Number | bool) -> str:
    if isinstance(value, bool):
        return f"{text} is {'true' if value else 'false'}"
    return f"{text} = {value if isinstance(value, int) else format(value, '.12g')}"


def calculator() -> BaseTool:
    """Return the tool `calculate(expression)` for arithmetic on numbers.

    Example:
        >>> calculator().invoke({"expression": "1,200 / 4"})
        '1200 / 4 = 300'
    """
    return StructuredTool.from_function(
        func=calculate,
        parse_docstring=True,
        handle_tool_error=True,
        handle_validation_error=bad_arguments,
        metadata={"risk": "read", "effect": "none", "trust": "trusted", "example": _EXAMPLE},
    )
