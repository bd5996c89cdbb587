"""Panels of a dashboard, section by section, with the queries of each."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from inferlog_ops.query.dashboards.render import parse_query_name


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
        holders = self.config.get("layers") or self.config.get("tabs") or [self.config]
        texts = [holder["data_source"]["query"] for holder in holders if "query" in holder.get("data_source", {})]
        return [name for text in texts if (name := parse_query_name(text)) is not None]


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
