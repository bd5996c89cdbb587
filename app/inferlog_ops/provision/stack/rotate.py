"""New secrets for old ones: set where they are checked, then in the file. What fails half-way is finished next time."""

from collections.abc import Callable
from datetime import datetime
from enum import StrEnum

from inferlog_ops.core.cluster import translate_errors
from inferlog_ops.core.outcome import Outcome, Provisioned
from inferlog_ops.core.progress import Say
from inferlog_ops.provision.stack import api_keys, kibana_secrets, prepare, roles, secret_files, users
from inferlog_ops.provision.stack.login import SUPERUSER, log_in, next_password
from inferlog_ops.provision.stack.settings import Settings


class Rotated(StrEnum):
    """What can be given a new secret."""

    ELASTIC = "elastic"
    KIBANA_SYSTEM = "kibana_system"
    OPERATOR = "operator"
    FLUENTD = "fluentd"
    DASHBOARDS = "dashboards"
    CERTIFICATES = "certificates"


TO_DO = {
    Rotated.ELASTIC: "No container has to be started again: only set-up uses it.",
    Rotated.KIBANA_SYSTEM: "Kibana cannot log in until it is started again: docker compose restart kibana",
    Rotated.OPERATOR: "Whoever is logged in to Kibana with the old one has to log in again.",
    Rotated.FLUENTD: "Events wait in their files until Fluentd is started again: docker compose restart fluentd",
    Rotated.DASHBOARDS: "Give the new key to the programs that ask with it.",
    Rotated.CERTIFICATES: "Elasticsearch reads them by itself within seconds; Kibana when it is started again: "
    "docker compose restart kibana",
}
"""What a person has to do afterwards."""


def rotate(settings: Settings, what: Rotated, now: datetime, say: Say) -> list[Provisioned]:
    """
    Give *what* a new secret.

    Args:
        settings: Where Elasticsearch and the secrets are.
        what: Whose.
        now: From when new certificates count; timezone-aware.
        say: Is told what is being waited for.

    Raises:
        OperatorError: If Elasticsearch does not answer or a file cannot be written. Then run it again.
    """
    if what is Rotated.CERTIFICATES:
        return prepare.renew_certificates(settings, now)
    if what is Rotated.ELASTIC:
        return [_rotate_superuser(settings, say)]
    ways: dict[Rotated, Callable[[Settings, Say], Provisioned]] = {
        Rotated.KIBANA_SYSTEM: _rotate_kibana_system,
        Rotated.OPERATOR: _rotate_operator,
        Rotated.FLUENTD: lambda settings, say: _rotate_key(settings, api_keys.fluentd_key(settings), say),
        Rotated.DASHBOARDS: lambda settings, say: _rotate_key(settings, api_keys.dashboards_key(settings), say),
    }
    return [ways[what](settings, say)]


def _rotate_superuser(settings: Settings, say: Say) -> Provisioned:
    """
    Change the password by which all others could be changed: at no moment it may be in no file.

    So the new one is written down first, beside the old one, and `log_in` tries both.
    """
    login = log_in(settings, say)
    coming = next_password(settings)
    if login.password_file != coming:
        secret_files.create(coming, _new_content())
        with login.cluster.client() as client, translate_errors(login.cluster, f"changing the password of {SUPERUSER}"):
            client.security.change_password(username=SUPERUSER, password=secret_files.read(coming))
    coming.replace(settings.elastic_password)
    return _done(SUPERUSER)


def _rotate_kibana_system(settings: Settings, say: Say) -> Provisioned:
    cluster = log_in(settings, say).cluster
    # Interrupted after this, provision brings Elasticsearch the password in the file.
    secret_files.replace(settings.kibana_system_password, _new_content())
    kibana_secrets.write_settings(settings.kibana_system_password.parent)
    with cluster.client() as client, translate_errors(cluster, f"changing the password of {users.KIBANA_SYSTEM}"):
        password = secret_files.read(settings.kibana_system_password)
        return users.ensure_password(client, cluster, users.KIBANA_SYSTEM, password)


def _rotate_operator(settings: Settings, say: Say) -> Provisioned:
    cluster = log_in(settings, say).cluster
    secret_files.replace(settings.operator_password, _new_content())
    with cluster.client() as client, translate_errors(cluster, f"changing the password of {users.OPERATOR}"):
        password = secret_files.read(settings.operator_password)
        return users.ensure_user(client, cluster, users.OPERATOR, password, roles.OPERATOR)


def _rotate_key(settings: Settings, wanted: api_keys.ProgramKey, say: Say) -> Provisioned:
    cluster = log_in(settings, say).cluster
    with cluster.client() as client, translate_errors(cluster, f"making a new key {wanted.name}"):
        return api_keys.ensure_key(client, cluster, wanted, anew=True)


def _new_content() -> bytes:
    return f"{secret_files.new_secret()}\n".encode()


def _done(name: str) -> Provisioned:
    return Provisioned(name=name, kind="user", outcome=Outcome.UPDATED)
