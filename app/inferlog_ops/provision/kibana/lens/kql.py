"""The part of KQL that the charts use: conditions on a field joined by ``or``, any value or a text each."""

import re
from typing import Any

from inferlog_ops.core.errors import OperatorError

_CONDITION = re.compile(r'([@\w.]+): (?:\*|"([^"]*)")')
_OR = " or "


def build_filter(kql: str) -> dict[str, Any]:
    """
    Return the query DSL filter for *kql*, in the form that Kibana sends.

    Raises:
        OperatorError: If a condition is of another form.
    """
    conditions = [_build_any([_build_condition(each)]) for each in kql.split(_OR)]
    return conditions[0] if len(conditions) == 1 else _build_any(conditions)


def list_fields(kql: str) -> list[str]:
    """
    Return the field of each condition of *kql*, which is not empty.

    Raises:
        OperatorError: If a condition is of another form.
    """
    return [_parse_condition(each)[0] for each in kql.split(_OR)]


def _build_any(filters: list[dict[str, Any]]) -> dict[str, Any]:
    return {"bool": {"should": filters, "minimum_should_match": 1}}


def _build_condition(kql: str) -> dict[str, Any]:
    field, text = _parse_condition(kql)
    return {"exists": {"field": field}} if text is None else {"term": {field: {"value": text}}}


def _parse_condition(kql: str) -> tuple[str, str | None]:
    """Return the field and the text of a condition; None for any value."""
    match = _CONDITION.fullmatch(kql)
    if match is None:
        raise OperatorError(f"no request for the filter {kql!r}; expected a field, and a text or *")
    return match[1], match[2]
