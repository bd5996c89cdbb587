"""Columns that panels use of queries and that the heads of queries name, and fields that queries use of the index."""

import json
import re
from collections import defaultdict
from pathlib import Path
from typing import Any

from inferlog_ops.query.dashboards import files
from inferlog_ops.query.dashboards.panels import Panel, list_panels
from inferlog_ops.query.dashboards.render import parse_query_name
from inferlog_ops.query.library import Query, load_all, restrict_columns
from tests.kibana.json_paths import walk

_COMPONENTS = Path(__file__).parents[2] / "infra" / "elasticsearch" / "component_templates"
_COMMENT_OR_TEXT = re.compile(r"//[^\n]*|\"[^\"\n]*\"")
_NAME = re.compile(r"@?[A-Za-z_][A-Za-z0-9_]*(?:\.[A-Za-z_][A-Za-z0-9_]*)*")
_STREAM = re.compile(r"logs-inference\.([a-z]+)-\*")


def list_columns_by_query(panel: Panel) -> dict[str, set[str]]:
    """Return the columns shown by *panel*, by the name of their query."""
    columns: defaultdict[str, set[str]] = defaultdict(set)
    for holder in panel.config.get("layers") or panel.config.get("tabs") or [panel.config]:
        name = parse_query_name(holder.get("data_source", {}).get("query", ""))
        if name is not None:
            columns[name] |= {node["column"] for _, node in walk(holder) if isinstance(node, dict) and "column" in node}
            columns[name] |= set(holder.get("column_order", []))
    return columns


def list_shown_columns() -> list[tuple[str, tuple[str, ...]]]:
    """Return the queries of all panels of our dashboards, each with the columns that a panel shows of it."""
    queries = load_all()
    return sorted(
        {
            (shown.name, restrict_columns(queries[shown.name], shown.columns).columns)
            for dashboard in files.load_all().values()
            for panel in list_panels(dashboard.body)
            for shown in panel.list_queries()
            if shown.columns
        }
    )


def check_head(query: Query, columns: list[str]) -> None:
    """Check that the head of the file names the *columns* of the answer, in their order."""
    described = [line.split()[1] for line in query.text.splitlines() if line.startswith("//   ")]
    assert described == columns, (
        f"the head of dashboards/queries/{query.name}.esql must have a line for each column: //   NAME  meaning, unit"
    )


def find_streams(query: Query) -> set[str]:
    """Return the streams that *query* reads, such as ``events``."""
    return set(_STREAM.findall(query.text))


def find_names(query: Query) -> set[str]:
    """Return every name in *query*: fields, columns, and keywords."""
    return set(_NAME.findall(_COMMENT_OR_TEXT.sub(" ", query.text)))


def read_mapped_fields(stream: str) -> set[str]:
    """Return the fields of *stream* mapped by the component templates."""
    files = [_COMPONENTS / f"inferlog-{part}-mappings.json" for part in ("common", stream)]
    templates = [json.loads(file.read_text(encoding="utf-8")) for file in files]
    return {field for template in templates for field in _list_leaves(template["template"]["mappings"]["properties"])}


def find_fields_of_query(query: Query) -> set[str]:
    """Return the mapped fields used by *query*."""
    return find_names(query) & {field for stream in find_streams(query) for field in read_mapped_fields(stream)}


def find_fields(document: dict[str, Any]) -> set[str]:
    """Return the fields of *document* with a value."""
    return set(_list_paths(document))


def _list_paths(node: dict[str, Any], prefix: str = "") -> list[str]:
    found = []
    for name, value in node.items():
        found += _list_paths(value, f"{prefix}{name}.") if isinstance(value, dict) else [prefix + name]
    return found


def _list_leaves(properties: dict[str, Any], prefix: str = "") -> list[str]:
    found = []
    for name, mapping in properties.items():
        inner = mapping.get("properties")
        found += _list_leaves(inner, f"{prefix}{name}.") if inner else [prefix + name]
    return found
