"""References in a dashboard file: to service levels, which are filled in, and to query files."""

import re
from collections.abc import Callable
from typing import Any

from inferlog_ops.query.dashboards.files import Dashboard
from inferlog_ops.query.dashboards.shape import check_shape
from inferlog_ops.query.dashboards.slo import REFERENCE, ServiceLevels

_QUERY_FILE = re.compile(r"queries/([a-z0-9_]+)\.esql")


def fill_levels(dashboard: Dashboard, levels: ServiceLevels) -> dict[str, Any]:
    """
    Return the body with the values of the service levels; references to query files remain.

    Raises:
        OperatorError: If the file refers to an unknown level, or to a level where a number is not allowed.
    """

    def put_in(text: str) -> str | float:
        whole = REFERENCE.fullmatch(text)
        if whole:
            return levels.find_default(whole[1], dashboard.path.name)
        return REFERENCE.sub(lambda match: f"{levels.find_default(match[1], dashboard.path.name):g}", text)

    body: dict[str, Any] = replace_strings(dashboard.body, put_in)
    # A number may have replaced a string.
    check_shape(body, dashboard.path.name)
    return body


def parse_query_name(text: str) -> str | None:
    """Return the query name in *text*, a reference such as ``queries/name.esql``; None for any other text."""
    match = _QUERY_FILE.fullmatch(text)
    return match[1] if match else None


def replace_strings(value: Any, change: Callable[[str], Any]) -> Any:
    """Return *value* with *change* applied to every string in it, except keys."""
    if isinstance(value, str):
        return change(value)
    if isinstance(value, list):
        return [replace_strings(each, change) for each in value]
    if isinstance(value, dict):
        return {key: replace_strings(each, change) for key, each in value.items()}
    return value
