"""The panels of a dashboard, section by section, and the questions that each of them asks."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from inferlog_ops.query.dashboards.render import query_named


@dataclass(frozen=True, slots=True, kw_only=True)
class Panel:
    """
    One panel.

    Attributes:
        id: Unique in its dashboard.
        type: "vis", "markdown", "discover_session", …
        config: As in the file.
        section: Title of the section it stands in; None outside of sections.
    """

    id: str
    type: str
    config: dict[str, Any]
    section: str | None

    @property
    def title(self) -> str:
        """As shown above it; empty if it has none."""
        return str(self.config.get("title", ""))

    @property
    def queries(self) -> list[str]:
        """The names of its queries: one for each layer or tab, one for any other chart, none for text."""
        holders = self.config.get("layers") or self.config.get("tabs") or [self.config]
        texts = [holder["data_source"]["query"] for holder in holders if "query" in holder.get("data_source", {})]
        return [name for text in texts if (name := query_named(text)) is not None]


def panels(body: dict[str, Any]) -> Iterator[Panel]:
    """Yield each panel of the dashboard *body*, those of sections too; one without an id gets its place as one."""
    for index, item in enumerate(body.get("panels", [])):
        if "type" in item:
            yield _panel(item, f"panel-{index}", None)
        else:
            for inner, panel in enumerate(item.get("panels", [])):
                yield _panel(panel, f"panel-{index}-{inner}", str(item.get("title", "")))


def _panel(item: dict[str, Any], place: str, section: str | None) -> Panel:
    return Panel(id=item.get("id", place), type=item["type"], config=item["config"], section=section)
