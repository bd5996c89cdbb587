"""The dashboards in the form that Kibana's dashboards API takes."""

from collections.abc import Collection, Mapping
from typing import Any

from inferlog_ops.provision.kibana.ids import object_id, shown_name, with_ids_of
from inferlog_ops.provision.kibana.mark import digest_in, digest_of, with_mark
from inferlog_ops.provision.kibana.wanted import Wanted, json_request
from inferlog_ops.query.dashboards.files import FOLDER, Dashboard
from inferlog_ops.query.dashboards.render import body_for_kibana
from inferlog_ops.query.dashboards.slo import ServiceLevels
from inferlog_ops.query.library import Query

KIND = "dashboard"

_API = "/api/dashboards"


def wanted(
    dashboard: Dashboard, levels: ServiceLevels, queries: Mapping[str, Query], namespace: str, bases: Collection[str]
) -> Wanted:
    """
    Return *dashboard* for *namespace*; *bases* are the ids of all objects that it may refer to.

    Raises:
        OperatorError: If the file names a query or a service level that is not there.
    """
    dashboard_id, source = object_id(dashboard.id, namespace), f"{FOLDER}/{dashboard.path.name}"
    rendered = body_for_kibana(dashboard, levels, queries, namespace=namespace)
    body: dict[str, Any] = with_ids_of(namespace, rendered, bases)
    body["title"] = shown_name(body["title"], namespace)
    digest = digest_of(body)
    body["description"] = with_mark(body.get("description", ""), source, digest)
    put = json_request("PUT", f"{_API}/{dashboard_id}", body)
    return Wanted(
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
