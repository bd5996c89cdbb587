"""Users: Kibana's own, built into Elasticsearch, and the operator."""

from dataclasses import replace
from typing import Any

from elasticsearch import Elasticsearch

from inferlog_ops.core.cluster import Cluster
from inferlog_ops.provision.desired import DesiredObject, ProvisionedObject, ProvisionOutcome, Request, Stamp, require
from inferlog_ops.provision.elasticsearch.server import ElasticsearchServer
from inferlog_ops.provision.stack.login import accepts_password

KIBANA_SYSTEM = "kibana_system"
OPERATOR = "operator"

_KIND = "user"


def ensure_password(client: Elasticsearch, cluster: Cluster, user: str, password: str) -> ProvisionedObject:
    """Set the *password* of *user*, which is built into Elasticsearch."""
    if accepts_password(cluster, user, password):
        return ProvisionedObject(name=user, kind=_KIND, outcome=ProvisionOutcome.UNCHANGED)
    client.security.change_password(username=user, password=password)
    return ProvisionedObject(name=user, kind=_KIND, outcome=ProvisionOutcome.UPDATED)


def ensure_user(client: Elasticsearch, cluster: Cluster, user: str, password: str, role: str) -> ProvisionedObject:
    """
    Create or update *user* with *role* and *password*.

    Raises:
        OperatorError: If the cluster has a user of that name that inferlog did not create.
    """
    stamp = Stamp.from_content("the set-up of the container stack", {"roles": [role]})
    path = f"/_security/user/{user}"

    def find_stamp(answer: dict[str, Any]) -> Stamp | None:
        current = answer[user]
        found = Stamp.parse(current.get("metadata"))
        usable = current["enabled"] and current["roles"] == [role] and accepts_password(cluster, user, password)
        return found if found is None or usable else replace(found, sha256="")

    put = Request(
        method="PUT",
        path=path,
        body={"password": password, "roles": [role], "enabled": True, "metadata": stamp.to_json()},
    )
    return require(
        ElasticsearchServer(client),
        DesiredObject(
            kind=_KIND,
            name=user,
            stamp=stamp,
            read=Request(method="GET", path=path),
            find_stamp=find_stamp,
            create=put,
            update=lambda: (put,),
        ),
    )
