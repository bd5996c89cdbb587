"""Query files compared with the index mapping, the dashboards and the alert rules."""

import pytest

from inferlog_ops.query.dashboards import files, query_library
from inferlog_ops.query.dashboards.panels import list_panels
from inferlog_ops.query.library import Query, load_all
from tests.support.panel_queries import find_names, find_streams, read_mapped_fields

QUERIES = load_all()
DASHBOARDS = files.load_all()
ABOUT_REQUESTS = [query for query in QUERIES.values() if find_streams(query)]


@pytest.mark.parametrize("query", ABOUT_REQUESTS, ids=lambda each: each.name)
def test_every_field_of_a_query_is_mapped(query: Query) -> None:
    """Names with a dot are fields, because computed columns have none; the engine rejects unknown fields."""
    mapped = {field for stream in find_streams(query) for field in read_mapped_fields(stream)}
    dotted = {name for name in find_names(query) if "." in name} - {
        f"inference.{stream}" for stream in find_streams(query)
    }
    assert dotted <= mapped, (
        f"dashboards/queries/{query.name}.esql uses a field that is not mapped: "
        "correct the query, or add the field to infra/elasticsearch"
    )


@pytest.mark.parametrize("query", QUERIES.values(), ids=lambda each: each.name)
def test_query_library_has_a_panel_for_every_query(query: Query) -> None:
    found = [panel for panel in list_panels(DASHBOARDS[query_library.ID].body) if panel.title == query.name]
    assert [(panel.type, panel.id) for panel in found] == [("discover_session", query.name.replace("_", "-"))]
    assert found[0].config["description"] == query.question
    assert found[0].config["tabs"] == [{"data_source": {"type": "esql", "query": f"queries/{query.name}.esql"}}]


def test_query_library_lists_a_query_under_the_dashboard_that_uses_it() -> None:
    sections = {panel.title: panel.section for panel in list_panels(DASHBOARDS[query_library.ID].body)}
    assert sections["overview"] == "Inference overview"
    assert sections["canary_versions"] == "Canary"
    assert sections["error_budget_burn"] == "Without a dashboard"
