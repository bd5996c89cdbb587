"""The connector that writes the alerts of rules to an index."""

import hashlib
from typing import Any

from inferlog_ops.provision.kibana.desired import DesiredObject, json_request
from inferlog_ops.provision.kibana.identity import compute_digest, object_id, qualify_title
from inferlog_ops.provision.kibana.rule_body import CONNECTOR_ID, connector_body, connector_update_of

KIND = "connector"

_API = "/api/actions/connector"
_SOURCE = "the connector of all rules"
_LONGEST_ID = 36  # characters; the limit of Kibana
_NAMESPACE_DIGITS = 20


def connector_id(namespace: str) -> str:
    """Return the id of the connector for *namespace*; a long namespace is replaced by a digest."""
    whole = object_id(CONNECTOR_ID, namespace)
    if len(whole) <= _LONGEST_ID:
        return whole
    return f"{CONNECTOR_ID}-{hashlib.sha256(namespace.encode()).hexdigest()[:_NAMESPACE_DIGITS]}"


def build_desired(namespace: str) -> DesiredObject:
    """
    Return the connector for *namespace*.

    A connector has no text for a mark, but Kibana returns it unchanged. So its content is compared, and it is ours if
    it writes alerts to an index of inferlog.
    """
    body = connector_body(namespace)
    body["name"] = qualify_title(body["name"], namespace)
    own_id = connector_id(namespace)

    def digest_found(answer: Any) -> str | None:
        config = answer.get("config") or {}
        if answer["connector_type_id"] != body["connector_type_id"] or not _is_ours(config.get("index")):
            return None
        return _digest(answer["name"], {key: config.get(key) for key in body["config"]})

    return DesiredObject(
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
    return compute_digest({"name": name, "config": config})
