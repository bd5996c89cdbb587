"""
Figures of a chart as expressions, and their columns in Lens.

Lens stores a formula twice: as text for its editor, and compiled to columns for execution. Both are written from one
expression, so they cannot differ. An expression must not depend on the current time or on the length of the range:
Lens computes ``now()`` and ``time_range()`` once, when the dashboard opens (elastic/kibana issue 170762).
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

_RECORDS = "___records___"
_OPERATORS = {  # function of tinymath, operator in a formula, precedence
    "multiply": ("*", 3),
    "divide": ("/", 3),
    "add": ("+", 2),
    "subtract": ("-", 2),
    "gt": (">", 1),
    "gte": (">=", 1),
}
_EMPTY_IS_ZERO = {"count", "sum"}


class Expression:
    """A figure: the operators of Python build formulas of Lens."""

    def __add__(self, other: "Operand") -> "FunctionCall":
        return call("add", self, other)

    def __sub__(self, other: "Operand") -> "FunctionCall":
        return call("subtract", self, other)

    def __mul__(self, other: "Operand") -> "FunctionCall":
        return call("multiply", self, other)

    def __truediv__(self, other: "Operand") -> "FunctionCall":
        return call("divide", self, other)

    def __gt__(self, other: "Operand") -> "FunctionCall":
        return call("gt", self, other)

    def __ge__(self, other: "Operand") -> "FunctionCall":
        return call("gte", self, other)


Operand = Expression | float


@dataclass(frozen=True, slots=True, kw_only=True)
class Number(Expression):
    value: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Aggregate(Expression):
    """
    A figure that Elasticsearch computes over documents.

    Attributes:
        operation: Lens operation: "count", "sum", "percentile", "last_value", …
        field: Field of the documents; None for their count.
        kql: Filter of the documents; empty for all.
        percentile: For the operation "percentile", 0 to 100.
        per: "s" or "h": divided by the seconds or hours of the slice or range; only outside formulas.
        kind: Data type of the result: "number", "date" or "string".
    """

    operation: str
    field: str | None = None
    kql: str = ""
    percentile: int | None = None
    per: str | None = None
    kind: str = "number"


@dataclass(frozen=True, slots=True, kw_only=True)
class OverallFigure(Expression):
    """A figure over all rows of the chart: function "overall_sum" or "overall_min"."""

    function: str
    of: Expression


@dataclass(frozen=True, slots=True, kw_only=True)
class FunctionCall(Expression):
    """A function of tinymath, the formula language of Lens."""

    function: str
    arguments: tuple[Expression, ...]


def call(function: str, *arguments: Operand) -> FunctionCall:
    """Return the call of a tinymath function; numbers become constants."""
    return FunctionCall(
        function=function,
        arguments=tuple(each if isinstance(each, Expression) else Number(value=each) for each in arguments),
    )


def count(field: str | None = None, *, kql: str = "", per: str | None = None) -> Aggregate:
    """Return the number of documents, or of those with *field*."""
    return Aggregate(operation="count", field=field, kql=kql, per=per)


def total(field: str, *, per: str | None = None) -> Aggregate:
    return Aggregate(operation="sum", field=field, per=per)


def average(field: str) -> Aggregate:
    return Aggregate(operation="average", field=field)


def lowest(field: str, *, kind: str = "number") -> Aggregate:
    return Aggregate(operation="min", field=field, kind=kind)


def highest(field: str, *, kql: str = "", kind: str = "number") -> Aggregate:
    return Aggregate(operation="max", field=field, kql=kql, kind=kind)


def percentile(field: str, percent: int) -> Aggregate:
    return Aggregate(operation="percentile", field=field, percentile=percent)


def distinct(field: str) -> Aggregate:
    """Return the number of different values of *field*; exact up to 3 000."""
    return Aggregate(operation="unique_count", field=field)


def latest(field: str, *, kind: str = "number") -> Aggregate:
    """Return *field* of the newest document that has a value of it."""
    return Aggregate(operation="last_value", field=field, kql=f"{field}: *", kind=kind)


def latest_text(field: str, *, kql: str = "") -> Aggregate:
    """Return all values of *field* of the newest document, also of one without values, and of text fields."""
    return Aggregate(operation="last_value", field=field, kql=kql, kind="string")


def overall_sum(of: Expression) -> OverallFigure:
    """Return the sum of *of* over all rows of the chart."""
    return OverallFigure(function="overall_sum", of=of)


def overall_min(of: Expression) -> OverallFigure:
    """Return the lowest *of* over all rows of the chart."""
    return OverallFigure(function="overall_min", of=of)


def list_aggregates(expression: Expression) -> Iterator[Aggregate]:
    """Yield the aggregates in *expression*, repeated ones repeatedly."""
    match expression:
        case Aggregate():
            yield expression
        case OverallFigure(of=of):
            yield from list_aggregates(of)
        case FunctionCall(arguments=arguments):
            for each in arguments:
                yield from list_aggregates(each)


def format_formula(expression: Expression) -> str:
    """Return *expression* as text for the formula editor."""
    match expression:
        case Number(value=value):
            return f"{value:.17g}"
        case Aggregate():
            return _format_aggregate(expression)
        case OverallFigure(function=function, of=of):
            return f"{function}({format_formula(of)})"
        case FunctionCall(function=function, arguments=arguments) if function in _OPERATORS:
            operator, _ = _OPERATORS[function]
            return f" {operator} ".join(
                f"({format_formula(each)})" if _needs_brackets(each, function, place) else format_formula(each)
                for place, each in enumerate(arguments)
            )
        case FunctionCall(function=function, arguments=arguments):
            return f"{function}({', '.join(map(format_formula, arguments))})"
    raise TypeError(f"not an expression: {expression!r}")


def compile_columns(column_id: str, expression: Expression, label: str, number_format: Any = None) -> dict[str, Any]:
    """
    Return the columns of *expression* in the order of their computation; the one to show has the id *column_id*.

    A single aggregate is one column, which the editor shows as a quick function. Anything else is a formula with its
    compiled parts ``<id>X0``, ``<id>X1``, …
    """
    shown = {"format": number_format} if number_format else {}
    if isinstance(expression, Aggregate):
        column = _aggregate_column(expression, label)
        column["params"] |= shown
        return {column_id: column}
    compiler = _FormulaCompiler(column_id, f"Part of {label}")
    last = compiler.add_column(expression)
    main = {
        "label": label,
        "customLabel": True,
        "dataType": "number",
        "operationType": "formula",
        "isBucketed": False,
        "scale": "ratio",
        "params": {"formula": format_formula(expression), "isFormulaBroken": False, **shown},
        "references": [last],
    }
    return {column_id: main, **compiler.columns}


class _FormulaCompiler:
    """
    Compiler of one formula.

    Attributes:
        columns: Compiled columns by id, each after those that it refers to.
    """

    def __init__(self, column_id: str, label: str) -> None:
        self.columns: dict[str, Any] = {}
        self._column_id = column_id
        self._label = label
        self._ids: dict[Expression, str] = {}

    def add_column(self, expression: Expression) -> str:
        """Add the columns of *expression* and return the id of the last one; equal expressions share a column."""
        if expression not in self._ids:
            column = self._compile_column(expression)
            self._ids[expression] = f"{self._column_id}X{len(self.columns)}"
            self.columns[self._ids[expression]] = column
        return self._ids[expression]

    def _compile_column(self, expression: Expression) -> dict[str, Any]:
        if isinstance(expression, Aggregate):
            return _aggregate_column(expression, self._label)
        if isinstance(expression, OverallFigure):
            return self._build_column("overall", expression.function, [self.add_column(expression.of)])
        tree = self._build_tree(expression)
        text = format_formula(expression)
        if isinstance(tree, dict):
            tree |= {"location": {"min": 0, "max": len(text)}, "text": text}
        references = list(dict.fromkeys(_list_references(tree)))
        return self._build_column("math", "math", references) | {"params": {"tinymathAst": tree}}

    def _build_tree(self, expression: Expression) -> Any:
        match expression:
            case Number(value=value):
                return value
            case FunctionCall(function=function, arguments=arguments):
                return {"type": "function", "name": function, "args": [self._build_tree(each) for each in arguments]}
        return self.add_column(expression)

    def _build_column(self, kind: str, operation: str, references: list[str]) -> dict[str, Any]:
        column = {
            "label": self._label,
            "customLabel": True,
            "dataType": "number",
            "operationType": operation,
            "isBucketed": False,
            "scale": "ratio",
            "references": references,
        }
        return column | ({"params": {}} if kind == "overall" else {})


def _aggregate_column(aggregate: Aggregate, label: str) -> dict[str, Any]:
    column: dict[str, Any] = {
        "label": label,
        "customLabel": True,
        "dataType": aggregate.kind,
        "operationType": aggregate.operation,
        "isBucketed": False,
        "scale": "ordinal" if aggregate.kind == "string" else "ratio",
        "sourceField": aggregate.field or _RECORDS,
        "params": _aggregate_params(aggregate),
    }
    if aggregate.kql:
        column["filter"] = {"query": aggregate.kql, "language": "kuery"}
    if aggregate.per:
        column["timeScale"] = aggregate.per
    return column


def _aggregate_params(aggregate: Aggregate) -> dict[str, Any]:
    if aggregate.operation == "percentile":
        return {"percentile": aggregate.percentile}
    if aggregate.operation == "last_value":
        # All values of the field, also where there is one: the embedded engine has no aggregation for a single one.
        return {"sortField": "@timestamp", "showArrayValues": True}
    return {"emptyAsNull": aggregate.operation not in _EMPTY_IS_ZERO}


def _format_aggregate(aggregate: Aggregate) -> str:
    arguments = [aggregate.field] if aggregate.field else []
    if aggregate.percentile is not None:
        arguments.append(f"percentile={aggregate.percentile}")
    if aggregate.kql:
        arguments.append("kql='" + aggregate.kql.replace("'", "\\'") + "'")
    return f"{aggregate.operation}({', '.join(arguments)})"


def _needs_brackets(argument: Expression, function: str, place: int) -> bool:
    if not isinstance(argument, FunctionCall) or argument.function not in _OPERATORS:
        return False
    inner, outer = _OPERATORS[argument.function][1], _OPERATORS[function][1]
    return inner < outer or (inner == outer and place > 0)


def _list_references(tree: Any) -> Iterator[str]:
    if isinstance(tree, str):
        yield tree
    elif isinstance(tree, dict):
        for each in tree["args"]:
            yield from _list_references(each)
