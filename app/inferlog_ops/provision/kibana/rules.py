"""The alert rules in the form that Kibana's alerting API takes, marked as ours."""

from collections.abc import Collection, Mapping
from typing import Any

from inferlog_ops.provision.kibana.connector import connector_id
from inferlog_ops.provision.kibana.ids import object_id, shown_name, with_ids_of
from inferlog_ops.provision.kibana.mark import digest_in, digest_of, mark
from inferlog_ops.provision.kibana.rule_body import rule_body, rule_id, update_of
from inferlog_ops.provision.kibana.wanted import Wanted, json_request
from inferlog_ops.query.dashboards.slo import ServiceLevels
from inferlog_ops.query.library import Query
from inferlog_ops.query.rules.rules import FOLDER, Rule

KIND = "rule"

_API = "/api/alerting/rule"


def wanted(
    rule: Rule, levels: ServiceLevels, queries: Mapping[str, Query], namespace: str, bases: Collection[str]
) -> Wanted:
    """
    Return *rule* for *namespace*; *bases* are the ids of all objects that it may refer to.

    An update leaves alone whether it is enabled, which people decide in Kibana.

    Raises:
        OperatorError: If the rule names a query or a service level that is not there.
    """
    own_id, source = object_id(rule_id(rule), namespace), f"{FOLDER}/{rule.name}.json"
    written = rule_body(rule, levels, queries, namespace, connector_id=connector_id(namespace))
    body: dict[str, Any] = with_ids_of(namespace, written, bases)
    body["name"] = shown_name(body["name"], namespace)
    digest = digest_of(body)
    body["tags"] = [*body["tags"], mark(source, digest)]
    return Wanted(
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
