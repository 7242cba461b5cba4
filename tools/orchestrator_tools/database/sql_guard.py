"""The check of a statement for a database server, the second layer behind a role that can only read.

Invariants:
- sqlglot parses the statement, and every node of the tree is of a kind that is listed here. Kinds that are not listed
  are refused, and so are kinds that a later version of sqlglot adds.
- The sent statement is written anew from the checked tree, with each table's schema filled in. So a comment or a way of
  quoting that the server would read otherwise than sqlglot does never reaches the server.
"""

import logging
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from langchain_core.tools import ToolException

from orchestrator_tools.answers import listed

if TYPE_CHECKING:
    from sqlglot import exp

_SYNTAX: Final = frozenset(
    re.findall(
        r"\w+",
        "Add Alias Aliases All And Any Array AtTimeZone Between Boolean Bracket CTE Case Cast Column "
        "ColumnDef Cube CurrentDate CurrentTimestamp DPipe DataType DataTypeParam Distinct Div EQ Escape "
        "Except Exists Fetch Filter From GT GTE Group GroupingSets Having ILike Identifier If IgnoreNulls In "
        "IntDiv Intersect Interval IntervalSpan Is JSONExtract JSONExtractScalar JSONPath JSONPathKey "
        "JSONPathRoot JSONPathSubscript Join LT LTE Lateral Like Limit LimitOptions Literal Localtime "
        "Localtimestamp Mod Mul NEQ National Neg Not Null NullSafeEQ NullSafeNEQ Offset Or Order Ordered "
        "Paren PivotAlias Qualify RegexpILike RegexpLike RespectNulls Rollup Select SimilarTo Slice Star Sub "
        "Subquery Table TableAlias Tuple Union Unnest Values Var Where Window WindowSpec With WithinGroup Xor",
    )
)
"""Kinds of nodes that only combine values and tables."""

_FUNCTIONS: Final = frozenset(
    re.findall(
        r"\w+",
        "Abs Acos AnyValue ArrayAgg ArraySize Ascii Asin Atan Atan2 Avg Cbrt Ceil Chr Coalesce Concat "
        "ConcatWs Corr Cos Count CountIf CovarPop CovarSamp CumeDist DateAdd DateDiff DateFromParts "
        "DateStrToDate DateSub DateTrunc Day DayOfMonth DayOfWeek DayOfYear Degrees DenseRank Exp Explode "
        "ExplodingGenerateSeries Extract FirstValue Floor GenerateDateArray GenerateSeries Greatest "
        "GroupConcat Grouping Hour Initcap JSONArrayAgg JSONBExtract JSONBExtractScalar JSONObject "
        "JSONObjectAgg Lag LastDay LastValue Lead Least Left Length Ln Log LogicalAnd LogicalOr Lower MD5 Max "
        "Median Min Minute Mode Month NthValue Ntile Nullif PercentRank PercentileCont PercentileDisc Pi Pow "
        "Quarter Radians Rand Rank RegexpReplace RegexpExtract Replace Reverse Right Round RowNumber Second "
        "Sign Sin SplitPart Sqrt StartsWith Stddev StddevPop StddevSamp StrPosition StrToDate StrToTime "
        "Substring Sum Tan TimeToStr TimestampDiff TimestampTrunc ToChar ToNumber Translate Trim Trunc "
        "TsOrDsToDate UnixToTime Upper Variance VariancePop Week WidthBucket Year",
    )
)
"""Functions that sqlglot knows by a class of their own."""

# Left out on purpose: `repeat` builds a gigabyte, `query_to_xml` runs its text as SQL, `pg_sleep` holds a connection.
_NAMED: Final = frozenset(
    re.findall(
        r"\w+",
        "age array_length array_to_string bool_and bool_or btrim cardinality char_length character_length "
        "date_part date_format div every ifnull json_agg json_array_length json_build_array json_build_object "
        "jsonb_agg jsonb_array_length jsonb_build_object jsonb_typeof json_typeof justify_days justify_hours "
        "ltrim make_date make_interval mod monthname dayname nullif octet_length percent_rank regexp_count "
        "regexp_match row rtrim to_json to_jsonb timestampdiff regr_slope regr_intercept regr_r2 var_pop",
    )
)
"""Functions that sqlglot knows only by name."""

_WRITING: Final = frozenset(["Insert", "Update", "Delete", "Returning", "Schema", "OnConflict"])
_READS: Final = ("Select", "Union", "Except", "Intersect", "Values")
_WRITES: Final = ("Insert", "Update", "Delete")
# A cast such as 'secret'::regclass looks a name up in the catalogue, past the check of tables.
_TYPES_REFUSED: Final = ("USERDEFINED", "OBJECT_IDENTIFIER")
_MAX_NODES: Final = 2_000
_MAX_NESTING: Final = 30
_MAX_STEPS: Final = 20_000
_INSTEAD: Final = "write plain SQL without it"


@dataclass(frozen=True)
class Guard:
    """The check of statements for one server.

    Args:
        dialect: sqlglot's name of the server's dialect.
        tables: The tables that may be used, by (schema, name) as the server keeps them.
        schema: The schema of tables that are named without one.
        folds: True if the server reads unquoted names in small letters.
    """

    dialect: str
    tables: Mapping[tuple[str, str], str]
    schema: str
    folds: bool = False

    def reading(self, sql: str) -> str:
        """Return the statement to send for one that reads.

        Raises:
            ToolException: The statement is not one SELECT, or has a part that is not allowed.
        """
        return self._passed(sql, _READS, _SYNTAX, "only one SELECT is allowed, with nothing that changes or locks")

    def writing(self, sql: str) -> str:
        """Return the statement to send for one that changes rows.

        Raises:
            ToolException: The statement is not one INSERT, UPDATE or DELETE, or has a part that is not allowed.
        """
        return self._passed(sql, _WRITES, _SYNTAX | _WRITING, "only one INSERT, UPDATE or DELETE is allowed")

    def _passed(self, sql: str, roots: tuple[str, ...], syntax: frozenset[str], allowed: str) -> str:
        tree = self._parsed(sql)
        if type(tree).__name__ not in roots:
            raise ToolException(f"error: {allowed}; structure and settings cannot be changed")
        nodes = list(tree.walk())
        if len(nodes) > _MAX_NODES:
            raise ToolException("error: the statement is too long; do it in several steps")
        for node in nodes:
            if problem := _problem(node, tree, syntax):
                raise ToolException(f"error: {problem}; {_INSTEAD} ({allowed})")
        for node in nodes:
            self._check_table(node, tree)
        try:
            # Without comments, because MySQL runs what stands in /*! … */.
            return tree.sql(dialect=self.dialect, comments=False)
        except (ValueError, RecursionError) as error:
            raise ToolException(
                f"error: the statement cannot be understood ({str(error)[:100]}); {_INSTEAD}"
            ) from error

    def _parsed(self, sql: str) -> "exp.Expr":
        from sqlglot.errors import SqlglotError

        if _nesting(sql) > _MAX_NESTING:
            raise ToolException("error: brackets are nested too deeply; do it in several steps")
        logging.getLogger("sqlglot").setLevel(logging.ERROR)  # it warns of statements that are refused here anyway
        try:
            trees = [tree for tree in _bounded(sql, self.dialect) if tree is not None]
        except (SqlglotError, ValueError, RecursionError, AttributeError, TypeError, IndexError) as error:
            reason = str(error).splitlines()[0][:200] if str(error) else type(error).__name__
            raise ToolException(f"error: the statement cannot be understood ({reason}); correct it") from error
        if len(trees) != 1:
            raise ToolException("error: one statement a call; send the others in further calls")
        return trees[0]

    def _check_table(self, table: "exp.Expr", tree: "exp.Expr") -> None:
        from sqlglot import exp

        if not isinstance(table, exp.Table):
            return
        if type(table.this).__name__ != "Identifier":
            return  # a function that returns rows; functions have been checked
        name = self._name(table.this)
        # With a schema, a name is never a common table expression. Else `WITH secret AS (SELECT 1) SELECT * FROM
        # public.secret` would pass.
        if not table.db and not table.catalog and not _changed(table, tree) and self._is_cte(table, name):
            return
        schema = self._name(table.args["db"]) if table.db else self.schema
        if table.catalog or (schema, name) not in self.tables:
            raise ToolException(
                f"error: the table '{'.'.join(part.name for part in table.parts)[:100]}' may not be used; "
                f"the tables there are: {listed(list(self.tables.values())) or 'none'}"
            )
        # Without a schema, the server could find another table of that name first on its search path.
        if schema:
            table.set("db", exp.to_identifier(schema, quoted=True))
        table.set("this", exp.to_identifier(name, quoted=True))

    def _name(self, identifier: "exp.Expr") -> str:
        name = str(identifier.this)
        # A quoted name keeps its letters: `WITH "SECRET" AS …` gives no right to read `secret`.
        return name if identifier.args.get("quoted") or not self.folds else name.lower()

    def _is_cte(self, table: "exp.Table", name: str) -> bool:
        """True if a name means a common table expression where the table stands.

        The expressions of every query around the table are visible: all of them from the query itself, and from inside
        one of them only those before it (with RECURSIVE that one too).
        """
        below: exp.Expr | None = table
        inside: exp.Expr | None = None
        while below is not None:
            above = below.parent
            if type(below).__name__ == "CTE":
                inside = below
            if above is not None and (block := above.args.get("with_")) is not None:
                visible = block.expressions
                if below is block and inside is not None:
                    # `WITH a AS (SELECT * FROM secret), secret AS (SELECT 1) …` reads the table in `a`.
                    position = next(number for number, cte in enumerate(visible) if cte is inside)
                    visible = visible[: position + 1 if block.args.get("recursive") else position]
                if any(self._name(cte.args["alias"].this) == name for cte in visible):
                    return True
            below = above
        return False


def _bounded(sql: str, dialect: str) -> "list[exp.Expr | None]":
    """Parse with a limit on the steps of the parser."""
    # At each type name in front of a bracket the parser goes back and tries another reading: `date(date(…` 25 levels
    # deep would take it hours.
    from sqlglot.dialects.dialect import Dialect

    spoken = Dialect.get_or_raise(dialect)
    parser: Any = spoken.parser_class
    steps = 0

    class Bounded(parser):  # type: ignore[misc]  # which class it is depends on the dialect
        def _advance(self, times: int = 1) -> None:
            nonlocal steps
            steps += 1
            if steps > _MAX_STEPS:
                raise ToolException("error: the statement is too complicated; do it in several steps")
            super()._advance(times)

    trees: list[exp.Expr | None] = Bounded(dialect=spoken).parse(spoken.tokenize(sql), sql)
    if not steps:  # a version of sqlglot that steps through another method: better no answer than no limit
        raise ToolException("error: this version of sqlglot cannot be limited; a person must install another one")
    return trees


def _changed(table: "exp.Table", tree: "exp.Expr") -> bool:
    """True if a writing statement changes this table; such a table is never a common table expression."""
    if type(tree).__name__ not in _WRITES:
        return False
    target = tree.this
    targets = [target, getattr(target, "this", None), *(tree.args.get("tables") or [])]
    return any(table is one for one in targets)


def _problem(node: "exp.Expr", tree: "exp.Expr", syntax: frozenset[str]) -> str:
    """Return why a node may not be in a statement, or an empty text."""
    kind = type(node).__name__
    if kind in _WRITES and node is not tree:  # PostgreSQL: WITH x AS (DELETE … RETURNING *) SELECT …
        return f"{kind.upper()} inside another statement is not allowed"
    if kind in ("Anonymous", "AnonymousAggFunc"):
        name = str(node.this).lower() if isinstance(node.this, str) else ""
        return "" if name in _NAMED else f"the function '{str(node.this)[:60]}' may not be used"
    if kind not in syntax and kind not in _FUNCTIONS:
        sort = "function" if "Func" in {base.__name__ for base in type(node).__mro__} else "expression"
        return f"the {sort} '{kind}' may not be used"
    if kind == "DataType" and getattr(node.this, "name", "") in _TYPES_REFUSED:
        return "that type may not be used"
    if kind in ("Select", "Table", "Subquery"):
        # Not every clause has a node of its own.
        unusual = {"into", "locks", "hint", "hints", "sample", "system_time", "version", "format", "changes", "when"}
        if clauses := sorted(name for name in unusual if node.args.get(name)):
            return f"the clause '{clauses[0]}' may not be used"
    return ""


def _nesting(sql: str) -> int:
    """Return the depth to which brackets are nested. Brackets in strings count too, to be on the safe side."""
    depth = most = 0
    for sign in sql:
        if sign in "([{":
            depth += 1
            most = max(most, depth)
        elif sign in ")]}":
            depth = max(0, depth - 1)
    # CASE nests without brackets.
    return max(most, sql.lower().count("case"))
