"""Explanation of a rejected object, with the title of the panel if the error is in a panel."""

import re
from typing import Any

from inferlog_ops.provision.kibana.client import KibanaResponse
from inferlog_ops.provision.kibana.desired import DesiredObject

_PANEL_PATH = re.compile(r"\bpanels(?:\.|\[)(\d+)\]?(?:\.panels(?:\.|\[)(\d+)\]?)?")
_CONFLICT = re.compile(r"Saved object \[[^]]*\] conflict")
_ENCRYPTS = {"/api/actions", "/api/alerting"}


def is_conflict(answer: KibanaResponse) -> bool:
    """Return whether the id is already used. Data views report this with 400, some versions of dashboards too."""
    return answer.status == 409 or (answer.status == 400 and _CONFLICT.search(answer.message) is not None)


def explain_rejection(wanted: DesiredObject, answer: KibanaResponse) -> str:
    """Return one sentence: the file, the reason of Kibana, and the panels."""
    start = f"{wanted.source}: Kibana rejected the {wanted.kind} {wanted.id} with {answer.status}"
    content = answer.json if isinstance(answer.json, dict) else {}
    if panel_errors := content.get("panelErrors"):
        return f"{start}: " + "; ".join(_panel_error(wanted.body, error) for error in panel_errors)
    if answer.status >= 500 and any(wanted.read.startswith(api) for api in _ENCRYPTS):
        return (
            f"{start}: {answer.message}; connectors and rules require xpack.encryptedSavedObjects.encryptionKey "
            "to be set in kibana.yml"
        )
    panels = sorted({_name_panel(panel) for panel in _panels_at(wanted.body, answer.message)})
    return f"{start}: " + (f"panel {', '.join(panels)}: " if panels else "") + answer.message


def _panel_error(body: dict[str, Any], error: dict[str, Any]) -> str:
    named = [_name_panel(panel) for panel in _all_panels(body) if _is_about(panel, error)]
    return f"panel {' or '.join(named) or error.get('panel_type')}: {error.get('message')}"


def _is_about(panel: dict[str, Any], error: dict[str, Any]) -> bool:
    """Return whether *error* is about *panel*, which Kibana quotes, possibly with defaults filled in."""
    quoted = error.get("panel_config") or {}
    config = panel.get("config") or {}
    if config == quoted:
        return True
    return panel.get("type") == error.get("panel_type") and "title" in config and config["title"] == quoted.get("title")


def _panels_at(body: dict[str, Any], message: str) -> list[dict[str, Any]]:
    """Return the panels whose paths are in *message*, such as ``[request body.panels.3.config]``."""
    found = []
    for outer, inner in _PANEL_PATH.findall(message):
        try:
            item = body["panels"][int(outer)]
            found.append(item["panels"][int(inner)] if inner else item)
        except (KeyError, IndexError):
            continue
    return found


def _all_panels(body: dict[str, Any]) -> list[dict[str, Any]]:
    items = [*body.get("pinned_panels", []), *body.get("panels", [])]
    return [panel for item in items for panel in item.get("panels", [item])]


def _name_panel(panel: dict[str, Any]) -> str:
    title = panel.get("title") or (panel.get("config") or {}).get("title")
    name = str(panel.get("id") or title or panel.get("type"))
    return f"{name} ({title})" if title and title != name else name
