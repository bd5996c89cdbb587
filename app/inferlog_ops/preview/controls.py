"""Controls of a dashboard: their fields, and the filter of their selected values."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from inferlog_ops.query.library import NO_VALUE


@dataclass(frozen=True, slots=True, kw_only=True)
class Control:
    """
    Control above a dashboard: a filter of one field, with its options and its initial selection.

    Attributes:
        id: Unique in its dashboard.
        type: "options_list_control"; others are not drawn.
        title: Label.
        field: Field to filter by; None for a control without a field.
        data_view: Id of the data view with its values.
        single_select: At most one value at a time.
        exclude: True if selected values are excluded instead of included.
        selected: Initially selected values.
        by_name: True if options are sorted by name instead of by count.
        descending: True if the order is descending.
        placeholder: Text without a selection.
        search: Search technique: "wildcard" (anywhere), "prefix" or "exact".
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
        """Return the control as JSON values for the page."""
        return asdict(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """Events with *value* in *field*; ``(none)`` also selects events without the field."""

    field: str
    value: str


def list_controls(body: dict[str, Any]) -> Iterator[Control]:
    """Yield the controls of the dashboard *body* in order."""
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


def build_filter(selections: Iterable[Selection], offered: Sequence[Control]) -> dict[str, Any] | None:
    """
    Return the query DSL filter of *selections*; None if nothing is selected.

    Fields are combined with AND, values of one field with OR.
    """
    by_field: dict[str, list[str]] = {}
    for selection in selections:
        by_field.setdefault(selection.field, []).append(selection.value)
    excluding = {control.field for control in offered if control.exclude}
    filters = [
        {"bool": {"must_not": _build_any_of(field, values)}} if field in excluding else _build_any_of(field, values)
        for field, values in by_field.items()
    ]
    return {"bool": {"filter": filters}} if filters else None


def _build_any_of(field: str, values: list[str]) -> dict[str, Any]:
    has_value = {"terms": {field: values}}
    if NO_VALUE not in values:
        return has_value
    return {"bool": {"should": [has_value, {"bool": {"must_not": {"exists": {"field": field}}}}]}}
