"""How long a cluster keeps what is in the data streams, and what it could not take."""

import re
from typing import Any

from inferlog_ops.errors import OperatorError

DEFAULT_RETENTION = "30d"
"""As the files in infra/elasticsearch say."""

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
