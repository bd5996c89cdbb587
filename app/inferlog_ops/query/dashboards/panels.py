"""Panels of a dashboard, section by section, with the queries of each."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from inferlog_ops.query.dashboards.render import parse_query_name


@dataclass(frozen=True, slots=True, kw_only=True)
class PanelQuery:
    """
    A query of a panel.

    Attributes:
        name: Name of its file.
        columns: Columns that the panel shows, without repetitions; empty for all of them.
    """

    name: str
    columns: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Panel:
    """
    One panel.

    Attributes:
        id: Unique in its dashboard.
        type: "vis", "markdown", "discover_session", …
        config: As in the file.
        section: Title of its section; None outside sections.
    """

    id: str
    type: str
    config: dict[str, Any]
    section: str | None

    @property
    def title(self) -> str:
        """Displayed title; may be empty."""
        return str(self.config.get("title", ""))

    @property
    def queries(self) -> list[str]:
        """Names of its queries: one per layer or tab, one for any other chart, none for text."""
        return [query.name for query in self.list_queries()]

    def list_queries(self) -> list[PanelQuery]:
        """Return its queries with the columns that it shows of each."""
        found = [find_query(part) for part in self.list_parts()]
        return [query for query in found if query is not None]

    def list_parts(self) -> list[dict[str, Any]]:
        """Return the parts of its configuration with a data source: layers, tabs, or the chart itself."""
        parts = self.config.get("layers") or self.config.get("tabs") or [self.config]
        return [part for part in parts if "data_source" in part]


def find_query(part: Mapping[str, Any]) -> PanelQuery | None:
    """Return the query of *part*, a chart, layer or tab with a data source; None if it refers to no query file."""
    name = parse_query_name(str(part["data_source"].get("query", "")))
    return None if name is None else PanelQuery(name=name, columns=tuple(dict.fromkeys(_find_columns(part))))


def list_panels(body: dict[str, Any]) -> Iterator[Panel]:
    """Yield each panel of *body*, including those in sections; a panel without an id gets its position as id."""
    for index, item in enumerate(body.get("panels", [])):
        if "type" in item:
            yield _build_panel(item, f"panel-{index}", None)
        else:
            for inner, panel in enumerate(item.get("panels", [])):
                yield _build_panel(panel, f"panel-{index}-{inner}", str(item.get("title", "")))


def _build_panel(item: dict[str, Any], place: str, section: str | None) -> Panel:
    return Panel(id=item.get("id", place), type=item["type"], config=item["config"], section=section)


def _find_columns(part: Any) -> Iterator[str]:
    if isinstance(part, dict):
        for key, value in part.items():
            if key == "column":
                yield value
            else:
                yield from _find_columns(value)
    elif isinstance(part, list):
        for each in part:
            yield from _find_columns(each)
