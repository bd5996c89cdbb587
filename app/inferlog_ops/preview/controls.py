"""The controls above a dashboard: which fields they filter by, and the filter that their selected values make."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final

NO_VALUE: Final = "(none)"
"""Stands for events without the field, as in the queries."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Control:
    """
    One control.

    Attributes:
        id: Unique in its dashboard.
        type: "options_list_control"; others are not drawn.
        title: Shown before it.
        field: What it filters by; None for a control that does not name a field.
        data_view: Where its values come from.
        single_select: At most one value at a time.
        exclude: Selected values are left out instead of let through.
        selected: Values that are selected before anybody touches it.
        by_name: Values are offered in alphabetical order instead of the most frequent first.
        descending: The other way round.
        placeholder: Shown while nothing is selected.
        search: How the text of a search is found in a value: "wildcard" (anywhere), "prefix" or "exact".
    """

    id: str
    type: str
    title: str
    field: str | None
    data_view: str
    single_select: bool
    exclude: bool
    selected: list[str]
    by_name: bool
    descending: bool
    placeholder: str
    search: str

    def as_json(self) -> dict[str, Any]:
        """Return it as the page reads it."""
        return asdict(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """Events of which the field *field* has *value*; of ``(none)``, those that lack the field, too."""

    field: str
    value: str


def controls(body: dict[str, Any]) -> Iterator[Control]:
    """Yield the controls of the dashboard *body*, in its order."""
    for index, item in enumerate(body.get("pinned_panels", [])):
        config = item.get("config", {})
        order = config.get("sort", {})
        yield Control(
            id=item.get("id", f"control-{index}"),
            type=item["type"],
            title=config.get("title") or config.get("field_name") or item["type"],
            field=config.get("field_name"),
            data_view=config.get("data_view_id", ""),
            single_select=config.get("single_select", False),
            exclude=config.get("exclude", False),
            selected=[str(value) for value in config.get("selected_options", [])],
            by_name=order.get("by") == "_key",
            descending=order.get("direction", "desc") == "desc",
            placeholder=config.get("display_settings", {}).get("placeholder", "Any"),
            search=config.get("search_technique", "wildcard"),
        )


def filter_of(selections: Iterable[Selection], offered: Sequence[Control]) -> dict[str, Any] | None:
    """
    Return the filter in query DSL that lets through what all fields of *selections* allow; None if nothing is selected.

    Several values of one field: any of them.
    """
    by_field: dict[str, list[str]] = {}
    for selection in selections:
        by_field.setdefault(selection.field, []).append(selection.value)
    excluding = {control.field for control in offered if control.exclude}
    filters = [
        {"bool": {"must_not": _any_of(field, values)}} if field in excluding else _any_of(field, values)
        for field, values in by_field.items()
    ]
    return {"bool": {"filter": filters}} if filters else None


def _any_of(field: str, values: list[str]) -> dict[str, Any]:
    has_value = {"terms": {field: values}}
    if NO_VALUE not in values:
        return has_value
    return {"bool": {"should": [has_value, {"bool": {"must_not": {"exists": {"field": field}}}}]}}
