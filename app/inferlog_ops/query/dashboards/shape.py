"""Validation of the parts of a dashboard file that all readers need; a test compares our files with their schema."""

from typing import Any

from inferlog_ops.core.errors import OperatorError

_KINDS = {dict: "an object", list: "a list", str: "a text", bool: "true or false"}


def check_shape(body: Any, where: str) -> None:
    """
    Check *body*, the content of the file *where*.

    Raises:
        OperatorError: If a part has the wrong type, with its place.
    """
    _expect(body, dict, where)
    _expect(body.get("title"), str, f"{where}: title")
    for place, control in _list_objects(body, "pinned_panels", f"{where}: "):
        _expect(control.get("type"), str, f"{place}.type")
        _get_optional(control, str, place, "id")
        _check_control(_get_optional(control, dict, place, "config"), f"{place}.config")
    for place, item in _list_objects(body, "panels", f"{where}: "):
        _expect(item.get("grid"), dict, f"{place}.grid")
        if "type" in item:
            _check_panel(item, place)
            continue
        for inner_place, panel in _list_objects(item, "panels", f"{place}."):
            _expect(panel.get("grid"), dict, f"{inner_place}.grid")
            _check_panel(panel, inner_place)


def _check_control(config: dict[str, Any], place: str) -> None:
    for key in ("title", "field_name", "data_view_id", "search_technique"):
        _get_optional(config, str, place, key)
    for key in ("single_select", "exclude"):
        _get_optional(config, bool, place, key)
    sort = _get_optional(config, dict, place, "sort")
    for key in ("by", "direction"):
        _get_optional(sort, str, f"{place}.sort", key)
    _get_optional(config, list, place, "selected_options")
    _get_optional(
        _get_optional(config, dict, place, "display_settings"), str, f"{place}.display_settings", "placeholder"
    )


def _check_panel(panel: dict[str, Any], place: str) -> None:
    _expect(panel.get("type"), str, f"{place}.type")
    _get_optional(panel, str, place, "id")
    config, place = panel.get("config"), f"{place}.config"
    _expect(config, dict, place)
    assert isinstance(config, dict)  # noqa: S101 (checked above)
    _check_source(config, place)
    for key in ("layers", "tabs"):
        for inner_place, holder in _list_objects(config, key, f"{place}."):
            _check_source(holder, inner_place)
    for inner_place, metric in _list_objects(config, "metrics", f"{place}."):
        _get_optional(metric, dict, inner_place, "background_chart")


def _check_source(holder: dict[str, Any], place: str) -> None:
    if "data_source" in holder:
        _get_optional(_get_optional(holder, dict, place, "data_source"), str, f"{place}.data_source", "query")


def _list_objects(holder: dict[str, Any], key: str, place: str) -> list[tuple[str, dict[str, Any]]]:
    """Return the objects of the list *key*, each with its place; empty without the key."""
    items = holder.get(key, [])
    _expect(items, list, f"{place}{key}")
    for index, item in enumerate(items):
        _expect(item, dict, f"{place}{key}[{index}]")
    return [(f"{place}{key}[{index}]", item) for index, item in enumerate(items)]


def _get_optional(holder: dict[str, Any], kind: type, place: str, key: str) -> Any:
    """Return the value of *key*, checked to be of *kind*, or an empty value of that kind."""
    value = holder.get(key, kind())
    _expect(value, kind, f"{place}.{key}")
    return value


def _expect(value: Any, kind: type, place: str) -> None:
    if not isinstance(value, kind):
        found = next((name for each, name in _KINDS.items() if isinstance(value, each)), "null or a number")
        raise OperatorError(f"{place} is {'missing or null' if value is None else found}; expected {_KINDS[kind]}")
