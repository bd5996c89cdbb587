"""The query library: a dashboard with one panel for each query file, made from these files."""

import json
from collections.abc import Mapping
from typing import Any

from inferlog_ops.query.library import Query

ID = "inferlog-query-library"

_NO_DASHBOARD = "Without a dashboard"
_COLUMNS = 48
_HEAD_ROWS = 7
_PANEL_ROWS = 10
_HEAD = """\
### All queries of `dashboards/queries`
A section for each dashboard holds the queries of its panels; the last one, queries without a panel. To continue from \
a query, open a section, then a panel's menu: **Explore in Discover**. In the terminal: `inferlog query NAME`. Each \
file begins with its columns and their units.

Next: """


def build_query_library(queries: Mapping[str, Query], dashboards: Mapping[str, dict[str, Any]]) -> dict[str, Any]:
    """
    Build the body of the dashboard that lists all *queries*.

    Args:
        queries: The queries by name.
        dashboards: The bodies of the other dashboards by id. A query is listed under the first one that uses it.
    """
    texts = {str(body["title"]): json.dumps(body) for body in dashboards.values()}
    sections: dict[str, list[Query]] = {title: [] for title in (*texts, _NO_DASHBOARD)}
    for query in queries.values():
        users = (title for title, text in texts.items() if f'"{_name_file(query)}"' in text)
        sections[next(users, _NO_DASHBOARD)].append(query)
    used_sections = [(title, members) for title, members in sections.items() if members]
    links = " · ".join(f"[{body['title']}](#/view/{dashboard_id})" for dashboard_id, body in dashboards.items())
    head = {"settings": {}, "content": _HEAD + links}
    return {
        "title": "Query library",
        "description": "All queries, ready to open in Discover",
        "time_range": {"from": "now-15m", "to": "now"},
        "refresh_interval": {"pause": True, "value": 60_000},
        "pinned_panels": [
            _build_control("Service", "service.name"),
            _build_control("Environment", "service.environment"),
        ],
        "panels": [
            {"type": "markdown", "id": "head", "grid": _build_grid(0, _HEAD_ROWS), "config": head},
            *(
                _build_section(title, members, row)
                for row, (title, members) in enumerate(used_sections, start=_HEAD_ROWS)
            ),
        ],
    }


def _build_section(title: str, queries: list[Query], row: int) -> dict[str, Any]:
    return {
        "title": title,
        "id": f"section-{title.lower().replace(' ', '-')}",
        "collapsed": True,
        "grid": {"y": row},
        "panels": [_build_panel(query, index * _PANEL_ROWS) for index, query in enumerate(queries)],
    }


def _build_panel(query: Query, row: int) -> dict[str, Any]:
    return {
        "type": "discover_session",
        "id": query.name.replace("_", "-"),
        "grid": _build_grid(row, _PANEL_ROWS),
        "config": {
            "title": query.name,
            "description": query.question,
            "tabs": [{"data_source": {"type": "esql", "query": _name_file(query)}}],
        },
    }


def _build_control(title: str, field: str) -> dict[str, Any]:
    return {
        "type": "options_list_control",
        "id": title.lower(),
        "width": "medium",
        "config": {"title": title, "data_view_id": "inferlog-events", "field_name": field},
    }


def _build_grid(row: int, rows: int) -> dict[str, int]:
    return {"x": 0, "y": row, "w": _COLUMNS, "h": rows}


def _name_file(query: Query) -> str:
    return f"queries/{query.name}.esql"
