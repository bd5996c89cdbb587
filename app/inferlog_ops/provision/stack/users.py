"""Users: Kibana's own, built into Elasticsearch, and the operator."""

from elasticsearch import Elasticsearch

from inferlog_ops.core.cluster import Cluster
from inferlog_ops.core.errors import OperatorError
from inferlog_ops.core.outcome import ProvisionedObject, ProvisionOutcome
from inferlog_ops.provision.elasticsearch.definitions import MANAGED_BY
from inferlog_ops.provision.stack.login import accepts_password

KIBANA_SYSTEM = "kibana_system"
OPERATOR = "operator"

_KIND = "user"
_OURS = {"managed_by": MANAGED_BY}


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
        OperatorError: If the cluster has a user of that name that set-up did not create.
    """
    current = client.options(ignore_status=404).security.get_user(username=user).body.get(user)
    if current is not None and current["metadata"].get("managed_by") != MANAGED_BY:
        raise OperatorError(
            f"the cluster has a user {user} that set-up did not create; rename or delete it, then run set-up again"
        )
    if current and current["enabled"] and current["roles"] == [role] and accepts_password(cluster, user, password):
        return ProvisionedObject(name=user, kind=_KIND, outcome=ProvisionOutcome.UNCHANGED)
    client.security.put_user(username=user, password=password, roles=[role], enabled=True, metadata=_OURS)
    return ProvisionedObject(
        name=user, kind=_KIND, outcome=ProvisionOutcome.UPDATED if current else ProvisionOutcome.CREATED
    )
