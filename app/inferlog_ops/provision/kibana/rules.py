"""Alert rules as bodies of Kibana's alerting API, with the mark of inferlog."""

from collections.abc import Collection, Mapping
from typing import Any

from inferlog_ops.provision.kibana.connector import connector_id
from inferlog_ops.provision.kibana.desired import DesiredObject, json_request
from inferlog_ops.provision.kibana.identity import (
    compute_digest,
    digest_in,
    format_mark,
    object_id,
    qualify_title,
    replace_ids,
)
from inferlog_ops.provision.kibana.rule_body import rule_body, rule_id, update_of
from inferlog_ops.query.dashboards.slo import ServiceLevels
from inferlog_ops.query.library import Query
from inferlog_ops.query.rules.rules import FOLDER, Rule

KIND = "rule"

_API = "/api/alerting/rule"


def build_desired(
    rule: Rule, levels: ServiceLevels, queries: Mapping[str, Query], namespace: str, bases: Collection[str]
) -> DesiredObject:
    """
    Return *rule* for *namespace*; *bases* are the ids of all objects that it can refer to.

    An update keeps the state enabled or disabled, which users set in Kibana.

    Raises:
        OperatorError: If the rule refers to a missing query or service level.
    """
    own_id, source = object_id(rule_id(rule), namespace), f"{FOLDER}/{rule.name}.json"
    written = rule_body(rule, levels, queries, namespace, connector_id=connector_id(namespace))
    body: dict[str, Any] = replace_ids(namespace, written, bases)
    body["name"] = qualify_title(body["name"], namespace)
    digest = compute_digest(body)
    body["tags"] = [*body["tags"], format_mark(source, digest)]
    return DesiredObject(
        kind=KIND,
        id=own_id,
        source=source,
        digest=digest,
        body=body,
        read=f"{_API}/{own_id}",
        digest_in=lambda answer: digest_in(" ".join(answer.get("tags") or [])),
        create=json_request("POST", f"{_API}/{own_id}", body),
        update=(json_request("PUT", f"{_API}/{own_id}", update_of(body)),),
    )
