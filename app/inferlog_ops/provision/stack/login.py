"""Login of the superuser, for the duration of one set-up."""

from dataclasses import dataclass, replace
from pathlib import Path

import elasticsearch

from inferlog_ops.core.cluster import Cluster, translate_errors
from inferlog_ops.core.errors import OperatorError
from inferlog_ops.core.progress import ReportProgress
from inferlog_ops.core.wait import poll
from inferlog_ops.provision.elasticsearch.server import wait_until_ready
from inferlog_ops.provision.stack import secret_files
from inferlog_ops.provision.stack.settings import StackSettings

SUPERUSER = "elastic"

_DOUBTED_SECONDS = 30.0
"""Retry time after a rejected password: a cluster that has just started rejects all users until it has loaded them."""
_SECONDS_BETWEEN_POLLS = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Login:
    """
    A successful login.

    Attributes:
        cluster: Elasticsearch with the credentials of the superuser.
        password_file: File with the password.
    """

    cluster: Cluster
    password_file: Path


def locate_next_password(settings: StackSettings) -> Path:
    """Return the file of the superuser's new password during a change."""
    return settings.elastic_password.with_name("elastic_password.next")


def log_in(settings: StackSettings, report: ReportProgress) -> Login:
    """
    Wait for Elasticsearch and log in as the superuser.

    After an interrupted change of the password, either the old or the new one is valid.

    Raises:
        OperatorError: If Elasticsearch does not answer, or rejects both passwords.
    """
    candidates = [settings.elastic_password, *filter(Path.exists, [locate_next_password(settings)])]
    logins = [Login(cluster=_build_cluster(settings, path), password_file=path) for path in candidates]
    timeout_seconds = min(_DOUBTED_SECONDS, settings.wait_seconds)
    for _ in poll(timeout_seconds=timeout_seconds, interval_seconds=_SECONDS_BETWEEN_POLLS):
        for login in logins:
            if _try_login(login.cluster, settings.wait_seconds, report):
                return login
        report(f"waiting for {settings.elasticsearch_url}: its users are not loaded yet, or the password is wrong")
    raise OperatorError(
        f"{settings.elasticsearch_url} rejects the password in {settings.elastic_password}; write that of "
        f"{SUPERUSER} into it. With docker compose, the volume elasticsearch-data was set up with another password: "
        "use that one, or start again without any data: docker compose down --volumes"
    )


def accepts_password(cluster: Cluster, user: str, password: str) -> bool:
    """
    Return whether *cluster* accepts *user* with *password*.

    Raises:
        OperatorError: If the cluster does not answer.
    """
    return accepts_credentials(replace(cluster, user_and_password=(user, password)))


def accepts_credentials(cluster: Cluster) -> bool:
    """
    Return whether *cluster* accepts its own credentials.

    Raises:
        OperatorError: If the cluster does not answer.
    """
    with cluster.build_client() as client, translate_errors(cluster, "checking a login"):
        try:
            client.security.authenticate()
        except (elasticsearch.AuthenticationException, elasticsearch.AuthorizationException):
            return False
    return True


def _build_cluster(settings: StackSettings, password_file: Path) -> Cluster:
    return Cluster(
        url=settings.elasticsearch_url,
        user_and_password=(SUPERUSER, secret_files.read(password_file)),
        ca_file=settings.trusted_ca_file,
        namespace=settings.namespace,
    )


def _try_login(cluster: Cluster, wait_seconds: float, report: ReportProgress) -> bool:
    with cluster.build_client() as client, translate_errors(cluster, "logging in"):
        try:
            wait_until_ready(cluster, client, timeout_seconds=wait_seconds, on_progress=report)
        except elasticsearch.AuthenticationException:
            return False
    return True
