"""Dashboards as bodies of Kibana's dashboards API."""

from collections.abc import Collection, Mapping
from typing import Any

from inferlog_ops.provision.kibana.desired import DesiredObject, json_request
from inferlog_ops.provision.kibana.identity import (
    append_mark,
    compute_digest,
    digest_in,
    object_id,
    qualify_title,
    replace_ids,
)
from inferlog_ops.query.dashboards.files import FOLDER, Dashboard
from inferlog_ops.query.dashboards.render import body_for_kibana
from inferlog_ops.query.dashboards.slo import ServiceLevels
from inferlog_ops.query.library import Query

KIND = "dashboard"

_API = "/api/dashboards"


def build_desired(
    dashboard: Dashboard, levels: ServiceLevels, queries: Mapping[str, Query], namespace: str, bases: Collection[str]
) -> DesiredObject:
    """
    Return *dashboard* for *namespace*; *bases* are the ids of all objects that it can refer to.

    Raises:
        OperatorError: If the file refers to a missing query or service level.
    """
    dashboard_id, source = object_id(dashboard.id, namespace), f"{FOLDER}/{dashboard.path.name}"
    rendered = body_for_kibana(dashboard, levels, queries, namespace=namespace)
    body: dict[str, Any] = replace_ids(namespace, rendered, bases)
    body["title"] = qualify_title(body["title"], namespace)
    digest = compute_digest(body)
    body["description"] = append_mark(body.get("description", ""), source, digest)
    put = json_request("PUT", f"{_API}/{dashboard_id}", body)
    return DesiredObject(
        kind=KIND,
        id=dashboard_id,
        source=source,
        digest=digest,
        body=body,
        read=f"{_API}/{dashboard_id}",
        digest_in=lambda answer: digest_in(answer["data"].get("description")),
        create=put,
        update=(put,),
    )
