"""Retention of the data streams and of their failure stores."""

import re
from typing import Any

from elasticsearch import Elasticsearch

from inferlog_ops.core.errors import OperatorError

DEFAULT_RETENTION = "30d"
"""As in the files in infra/elasticsearch."""

_TEMPLATE = "inferlog-cluster"
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


def read_retention(client: Elasticsearch) -> str | None:
    """Return the retention in the cluster's template; None if the template does not exist."""
    path = f"/_component_template/{_TEMPLATE}"
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
    options = template["data_stream_options"]
    failures = {**options["failure_store"], "lifecycle": {"data_retention": retention}}
    return {
        **component,
        "template": {
            **template,
            "lifecycle": {**template["lifecycle"], "data_retention": retention},
            "data_stream_options": {**options, "failure_store": failures},
        },
    }
