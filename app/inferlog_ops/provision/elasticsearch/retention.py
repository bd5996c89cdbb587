"""How long a cluster keeps what is in the data streams, and what it could not take."""

import re
from typing import Any

from elasticsearch import Elasticsearch

from inferlog_ops.core.errors import OperatorError

DEFAULT_RETENTION = "30d"
"""As the files in infra/elasticsearch say."""

_TEMPLATE = "inferlog-cluster"
_RETENTION = re.compile(r"[1-9][0-9]{0,6}[dhms]")


def checked_retention(retention: str, *, where: str) -> str:
    """
    Return *retention* as it is; *where* it was given is for the message.

    Raises:
        OperatorError: If Elasticsearch would not take it.
    """
    if not _RETENTION.fullmatch(retention):
        raise OperatorError(
            f"{where} is {retention!r}; expected a whole number with d, h, m or s, such as 30d", exit_code=2
        )
    return retention


def retention_in(client: Elasticsearch) -> str | None:
    """Return how long data stays by the templates that *client*'s cluster has; None if it has none of ours."""
    path = f"/_component_template/{_TEMPLATE}"
    answer = client.options(ignore_status=404).perform_request("GET", path, headers={"accept": "application/json"})
    found = answer.body.get("component_templates")
    if not found:
        return None
    lifecycle = found[0]["component_template"]["template"].get("lifecycle") or {}
    kept: str | None = lifecycle.get("data_retention")
    return kept


def with_retention(component: dict[str, Any], retention: str) -> dict[str, Any]:
    """Return the body of *component*, a component template, with *retention* where it says how long data stays."""
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
