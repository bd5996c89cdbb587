"""The connector by which rules write their alerts into an index."""

import hashlib
from typing import Any

from inferlog_ops.provision.kibana.ids import object_id, shown_name
from inferlog_ops.provision.kibana.mark import digest_of
from inferlog_ops.provision.kibana.rule_body import CONNECTOR_ID, connector_body, connector_update_of
from inferlog_ops.provision.kibana.wanted import Wanted, json_request

KIND = "connector"

_API = "/api/actions/connector"
_SOURCE = "the connector of all rules"
_LONGEST_ID = 36  # characters; Kibana takes no longer one
_NAMESPACE_DIGITS = 20


def connector_id(namespace: str) -> str:
    """Return the connector's id for *namespace*; of a long namespace a digest stands in it."""
    whole = object_id(CONNECTOR_ID, namespace)
    if len(whole) <= _LONGEST_ID:
        return whole
    return f"{CONNECTOR_ID}-{hashlib.sha256(namespace.encode()).hexdigest()[:_NAMESPACE_DIGITS]}"


def wanted(namespace: str) -> Wanted:
    """
    Return the connector for *namespace*.

    It has no text for a mark, and Kibana answers with what it was given. So it is compared as it is; ours is the one
    that writes alerts to an index of ours.
    """
    body = connector_body(namespace)
    body["name"] = shown_name(body["name"], namespace)
    own_id = connector_id(namespace)

    def digest_found(answer: Any) -> str | None:
        config = answer.get("config") or {}
        if answer["connector_type_id"] != body["connector_type_id"] or not _is_ours(config.get("index")):
            return None
        return _digest(answer["name"], {key: config.get(key) for key in body["config"]})

    return Wanted(
        kind=KIND,
        id=own_id,
        source=_SOURCE,
        digest=_digest(body["name"], body["config"]),
        body=body,
        read=f"{_API}/{own_id}",
        digest_in=digest_found,
        create=json_request("POST", f"{_API}/{own_id}", body),
        update=(json_request("PUT", f"{_API}/{own_id}", connector_update_of(body)),),
    )


def _is_ours(index: Any) -> bool:
    return isinstance(index, str) and index.startswith(f"{CONNECTOR_ID}-")


def _digest(name: str, config: dict[str, Any]) -> str:
    return digest_of({"name": name, "config": config})
