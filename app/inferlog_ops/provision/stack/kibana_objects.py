"""Set-up 3 of 3: everything in Kibana, made by a user who can log in for as long as this takes and no longer."""

from collections.abc import Iterator
from contextlib import contextmanager

from elasticsearch import Elasticsearch

from inferlog_ops.core.cluster import Cluster, translate_errors
from inferlog_ops.core.outcome import Provisioned
from inferlog_ops.core.progress import Say, say_nothing
from inferlog_ops.provision.kibana.address import Kibana
from inferlog_ops.provision.kibana.provision import provision_kibana
from inferlog_ops.provision.stack import roles, secret_files, users
from inferlog_ops.provision.stack.login import log_in
from inferlog_ops.provision.stack.settings import Settings

USER = "inferlog_rules"


def provision_objects(settings: Settings, *, on_progress: Say = say_nothing) -> list[Provisioned]:
    """
    Put data views, dashboards, rules and saved queries into Kibana; a second run finds all unchanged.

    Kibana's rules run by an API key that Kibana makes for the user who created them. So this is a user of their own,
    with the rights of `roles.RULES`: as the superuser they could do everything. An API key would not do, for Kibana
    then runs the rules by that very key, which would have to live as long as they do.

    Args:
        settings: Where Elasticsearch, Kibana and the superuser's password are.
        on_progress: Is told what is being waited for.

    Raises:
        OperatorError: If one of them does not answer or refuses something.
    """
    cluster = log_in(settings, on_progress).cluster
    with cluster.client() as client, translate_errors(cluster, "setting up the user of the rules"):
        done = roles.ensure_role(client, roles.RULES)
        with _able_to_log_in(client, cluster) as password:
            kibana = Kibana(
                base_url=settings.kibana_url,
                user_and_password=f"{USER}:{password}",
                ca_file=str(settings.ca_file),
            )
            made = provision_kibana(
                kibana, settings.namespace, wait_seconds=settings.wait_seconds, on_progress=on_progress
            )
    return [done, *made]


@contextmanager
def _able_to_log_in(client: Elasticsearch, cluster: Cluster) -> Iterator[str]:
    """
    Give a password by which the user gets in, inside the block only; it stands nowhere else.

    Killed inside, it leaves a user whose password nobody knows. The API keys that Kibana has made go on to work.
    """
    password = secret_files.new_secret()
    users.ensure_user(client, cluster, USER, password, roles.RULES)
    try:
        yield password
    finally:
        client.security.disable_user(username=USER)
