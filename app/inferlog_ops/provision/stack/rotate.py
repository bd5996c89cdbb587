"""Rotation of secrets; an interrupted rotation is completed by the next run."""

from collections.abc import Callable
from datetime import datetime
from enum import StrEnum

from inferlog_ops.core.cluster import translate_errors
from inferlog_ops.core.progress import ReportProgress
from inferlog_ops.provision.desired import ProvisionedObject, ProvisionOutcome
from inferlog_ops.provision.stack import api_keys, prepare, roles, secret_files, users
from inferlog_ops.provision.stack.login import SUPERUSER, locate_next_password, log_in
from inferlog_ops.provision.stack.settings import StackSettings


class RotatableSecret(StrEnum):
    """Owners of a secret that can be rotated."""

    ELASTIC = "elastic"
    KIBANA_SYSTEM = "kibana_system"
    OPERATOR = "operator"
    FLUENTD = "fluentd"
    DASHBOARDS = "dashboards"
    SUMMARIZE = "summarize"
    CERTIFICATES = "certificates"


TO_DO = {
    RotatableSecret.ELASTIC: "No container has to be restarted: only set-up uses this password.",
    RotatableSecret.KIBANA_SYSTEM: "Kibana cannot log in until it is restarted: docker compose restart kibana",
    RotatableSecret.OPERATOR: "Users who are logged in to Kibana with the old password have to log in again.",
    RotatableSecret.FLUENTD: "No container has to be restarted: Fluentd reads its key for each request.",
    RotatableSecret.DASHBOARDS: "Give the new key to the programs that query with it.",
    RotatableSecret.SUMMARIZE: "No container has to be restarted: inferlog summarize reads its key at each run.",
    RotatableSecret.CERTIFICATES: "Elasticsearch reloads them within seconds, Kibana at a restart: "
    "docker compose restart kibana",
}
"""Next step for the user after a rotation."""


def rotate(
    settings: StackSettings, what: RotatableSecret, now: datetime, report: ReportProgress
) -> list[ProvisionedObject]:
    """
    Give *what* a new secret.

    Args:
        settings: Address of Elasticsearch and folder of the secrets.
        what: Owner of the secret.
        now: Start of new certificates; timezone-aware.
        report: Receives progress lines.

    Raises:
        OperatorError: If Elasticsearch does not answer or a file is not writable. Then run it again.
    """
    if what is RotatableSecret.CERTIFICATES:
        return prepare.renew_certificates(settings, now)
    if what is RotatableSecret.ELASTIC:
        return [_rotate_superuser(settings, report)]
    rotations: dict[RotatableSecret, Callable[[StackSettings, ReportProgress], ProvisionedObject]] = {
        RotatableSecret.KIBANA_SYSTEM: _rotate_kibana_system,
        RotatableSecret.OPERATOR: _rotate_operator,
        RotatableSecret.FLUENTD: lambda settings, report: _rotate_key(
            settings, api_keys.define_fluentd_key(settings), report
        ),
        RotatableSecret.DASHBOARDS: lambda settings, report: _rotate_key(
            settings, api_keys.define_dashboards_key(settings), report
        ),
        RotatableSecret.SUMMARIZE: lambda settings, report: _rotate_key(
            settings, api_keys.define_summarize_key(settings), report
        ),
    }
    return [rotations[what](settings, report)]


def _rotate_superuser(settings: StackSettings, report: ReportProgress) -> ProvisionedObject:
    """
    Change the superuser's password. It must be in a file at all times.

    So the new one is first written next to the old one, and `log_in` tries both.
    """
    login = log_in(settings, report)
    coming = locate_next_password(settings)
    if login.password_file != coming:
        secret_files.create(coming, _create_content())
        with (
            login.cluster.build_client() as client,
            translate_errors(login.cluster, f"changing the password of {SUPERUSER}"),
        ):
            client.security.change_password(username=SUPERUSER, password=secret_files.read(coming))
    coming.replace(settings.elastic_password)
    return _build_result(SUPERUSER)


def _rotate_kibana_system(settings: StackSettings, report: ReportProgress) -> ProvisionedObject:
    cluster = log_in(settings, report).cluster
    # If this is interrupted here, provision sets the password from the file in Elasticsearch.
    secret_files.replace(settings.kibana_system_password, _create_content())
    prepare.write_kibana_settings(settings)
    with cluster.build_client() as client, translate_errors(cluster, f"changing the password of {users.KIBANA_SYSTEM}"):
        password = secret_files.read(settings.kibana_system_password)
        return users.ensure_password(client, cluster, users.KIBANA_SYSTEM, password)


def _rotate_operator(settings: StackSettings, report: ReportProgress) -> ProvisionedObject:
    cluster = log_in(settings, report).cluster
    secret_files.replace(settings.operator_password, _create_content())
    with cluster.build_client() as client, translate_errors(cluster, f"changing the password of {users.OPERATOR}"):
        password = secret_files.read(settings.operator_password)
        return users.ensure_user(client, cluster, users.OPERATOR, password, roles.OPERATOR)


def _rotate_key(settings: StackSettings, wanted: api_keys.ProgramKey, report: ReportProgress) -> ProvisionedObject:
    cluster = log_in(settings, report).cluster
    with cluster.build_client() as client, translate_errors(cluster, f"creating a new key {wanted.name}"):
        return api_keys.ensure_key(client, cluster, wanted, renew=True)


def _create_content() -> bytes:
    return f"{secret_files.create_secret()}\n".encode()


def _build_result(name: str) -> ProvisionedObject:
    return ProvisionedObject(name=name, kind="user", outcome=ProvisionOutcome.UPDATED)
