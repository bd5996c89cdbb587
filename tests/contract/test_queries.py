"""The query files against the index's mapping, the dashboards and the alert rules."""

import pytest

from inferlog_ops.query.dashboards import files
from inferlog_ops.query.dashboards.panels import panels
from inferlog_ops.query.library import Query, load_all
from inferlog_ops.query.rules import rules
from tests.support.asked import mapped_fields, names_in, streams_of

QUERIES = load_all()
DASHBOARDS = files.load_all()
QUERY_LIBRARY = "inferlog-query-library"
ABOUT_REQUESTS = [query for query in QUERIES.values() if streams_of(query)]


@pytest.mark.parametrize("query", ABOUT_REQUESTS, ids=lambda each: each.name)
def test_every_field_of_a_query_is_mapped(query: Query) -> None:
    """Names with a dot are fields, since the columns that a query makes up have none; the engine refuses others."""
    mapped = {field for stream in streams_of(query) for field in mapped_fields(stream)}
    dotted = {name for name in names_in(query) if "." in name} - {f"inference.{stream}" for stream in streams_of(query)}
    assert dotted <= mapped


@pytest.mark.parametrize("query", QUERIES.values(), ids=lambda each: each.name)
def test_every_query_stands_in_the_query_library(query: Query) -> None:
    """As a panel ``{"type": "discover_session", "config": {"title": <name>, "description": <question>, …}}``."""
    shown = {panel.title: panel for panel in panels(DASHBOARDS[QUERY_LIBRARY].body) if panel.type == "discover_session"}
    assert query.name in shown
    panel = shown[query.name]
    assert panel.id == query.name.replace("_", "-")
    assert panel.config["description"] == query.question
    assert panel.config["tabs"] == [{"data_source": {"type": "esql", "query": f"queries/{query.name}.esql"}}]


@pytest.mark.parametrize("name", QUERIES)
def test_every_query_is_asked_by_a_panel_or_by_a_rule(name: str) -> None:
    asked = {
        query
        for dashboard in DASHBOARDS.values()
        if dashboard.id != QUERY_LIBRARY
        for panel in panels(dashboard.body)
        for query in panel.queries
    }
    assert name in asked | {rule.query for rule in rules.load_all().values()}
