"""The users: Kibana's own, which Elasticsearch brings, and the person's."""

from elasticsearch import Elasticsearch

from inferlog_ops.core.cluster import Cluster
from inferlog_ops.core.errors import OperatorError
from inferlog_ops.core.outcome import Outcome, Provisioned
from inferlog_ops.provision.elasticsearch.definitions import MANAGED_BY
from inferlog_ops.provision.stack.login import knows

KIBANA_SYSTEM = "kibana_system"
OPERATOR = "operator"

_KIND = "user"
_OURS = {"managed_by": MANAGED_BY}


def ensure_password(client: Elasticsearch, cluster: Cluster, user: str, password: str) -> Provisioned:
    """Give *user*, which Elasticsearch brings, the *password*."""
    if knows(cluster, user, password):
        return Provisioned(name=user, kind=_KIND, outcome=Outcome.UNCHANGED)
    client.security.change_password(username=user, password=password)
    return Provisioned(name=user, kind=_KIND, outcome=Outcome.UPDATED)


def ensure_user(client: Elasticsearch, cluster: Cluster, user: str, password: str, role: str) -> Provisioned:
    """
    Make *user* one that has *role* and gets in by *password*.

    Raises:
        OperatorError: If the cluster has one of that name which set-up did not make.
    """
    current = client.options(ignore_status=404).security.get_user(username=user).body.get(user)
    if current is not None and current["metadata"].get("managed_by") != MANAGED_BY:
        raise OperatorError(
            f"the cluster has a user {user} that set-up did not make; rename or delete it, then run set-up again"
        )
    if current and current["enabled"] and current["roles"] == [role] and knows(cluster, user, password):
        return Provisioned(name=user, kind=_KIND, outcome=Outcome.UNCHANGED)
    client.security.put_user(username=user, password=password, roles=[role], enabled=True, metadata=_OURS)
    return Provisioned(name=user, kind=_KIND, outcome=Outcome.UPDATED if current else Outcome.CREATED)
