"""Set-up 3 of 3: all objects in Kibana, created by a user that is enabled only for this time."""

from collections.abc import Iterator
from contextlib import contextmanager

from elasticsearch import Elasticsearch

from inferlog_ops.core.cluster import Cluster, translate_errors
from inferlog_ops.core.progress import ReportProgress, ignore_progress
from inferlog_ops.provision.desired import ProvisionedObject
from inferlog_ops.provision.kibana.address import Kibana
from inferlog_ops.provision.kibana.provision import provision_kibana
from inferlog_ops.provision.stack import roles, secret_files, users
from inferlog_ops.provision.stack.login import log_in
from inferlog_ops.provision.stack.settings import StackSettings

USER = "inferlog_rules"


def provision_objects(
    settings: StackSettings, *, on_progress: ReportProgress = ignore_progress
) -> list[ProvisionedObject]:
    """
    Create data views, dashboards, rules and saved queries in Kibana; a second run finds all unchanged.

    Kibana runs rules with an API key that it creates for the user who created them. A separate user with the privileges
    of `roles.RULES` limits them; as the superuser, rules could do everything. With an API key instead of a user, Kibana
    would run the rules with that key, which could then never expire.

    Args:
        settings: Addresses of Elasticsearch and Kibana, and the file of the superuser's password.
        on_progress: Receives progress lines.

    Raises:
        OperatorError: If one of them does not answer or rejects a request.
    """
    cluster = log_in(settings, on_progress).cluster
    with cluster.build_client() as client, translate_errors(cluster, "setting up the user of the rules"):
        done = roles.ensure_role(client, roles.RULES)
        with _enable_login(client, cluster) as password:
            kibana = Kibana(
                base_url=settings.kibana_url,
                user_and_password=f"{USER}:{password}",
                ca_file=settings.trusted_ca_file,
            )
            made = provision_kibana(
                kibana, settings.namespace, wait_seconds=settings.wait_seconds, on_progress=on_progress
            )
    return [done, *made]


@contextmanager
def _enable_login(client: Elasticsearch, cluster: Cluster) -> Iterator[str]:
    """
    Enable the user for the block, and yield its new password, which is stored nowhere.

    If the process is killed in the block, the user stays enabled, but its password is lost. The API keys that Kibana
    created keep working.
    """
    password = secret_files.create_secret()
    users.ensure_user(client, cluster, USER, password, roles.RULES)
    try:
        yield password
    finally:
        client.security.disable_user(username=USER)
