"""Retention of the data streams: of events with their failure stores, and of summaries."""

import re
from typing import Any

from elasticsearch import Elasticsearch

from inferlog_ops.core.errors import OperatorError

DEFAULT_RETENTION = "30d"
"""Of events, as in the files in infra/elasticsearch."""
DEFAULT_SUMMARIES_RETENTION = "400d"
"""As in the files in infra/elasticsearch: a year and the month before it."""

EVENTS_TEMPLATE = "inferlog-cluster"
SUMMARIES_TEMPLATE = "inferlog-summaries-cluster"
_RETENTION = re.compile(r"[1-9][0-9]{0,6}[dhms]")


def check_retention(retention: str, *, where: str) -> str:
    """
    Return *retention* unchanged if it is valid; *where* is the setting's name for the message.

    Raises:
        OperatorError: If Elasticsearch would reject it.
    """
    if not _RETENTION.fullmatch(retention):
        raise OperatorError(
            f"{where} is {retention!r}; expected a whole number with d, h, m or s, such as 30d", exit_code=2
        )
    return retention


def read_retention(client: Elasticsearch, template: str) -> str | None:
    """Return the retention in the component template *template* of the cluster; None if it does not exist."""
    path = f"/_component_template/{template}"
    answer = client.options(ignore_status=404).perform_request("GET", path, headers={"accept": "application/json"})
    found = answer.body.get("component_templates")
    if not found:
        return None
    lifecycle = found[0]["component_template"]["template"].get("lifecycle") or {}
    kept: str | None = lifecycle.get("data_retention")
    return kept


def set_retention(component: dict[str, Any], retention: str) -> dict[str, Any]:
    """Return the body *component* of a component template with its retention replaced by *retention*."""
    template = component.get("template", {})
    if "lifecycle" not in template:
        return component
    kept = {"lifecycle": {**template["lifecycle"], "data_retention": retention}}
    if options := template.get("data_stream_options"):
        failures = {**options["failure_store"], "lifecycle": {"data_retention": retention}}
        kept["data_stream_options"] = {**options, "failure_store": failures}
    return {**component, "template": {**template, **kept}}
