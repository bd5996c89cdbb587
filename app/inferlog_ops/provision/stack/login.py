"""The superuser's login, which set-up needs once a run and keeps nowhere."""

import time
from dataclasses import dataclass, replace
from pathlib import Path

import elasticsearch

from inferlog_ops.core.cluster import Cluster, translate_errors
from inferlog_ops.core.errors import OperatorError
from inferlog_ops.core.progress import Say
from inferlog_ops.provision.elasticsearch.store import wait_until_ready
from inferlog_ops.provision.stack import secret_files
from inferlog_ops.provision.stack.settings import Settings

SUPERUSER = "elastic"

_DOUBTED_SECONDS = 30.0
"""How long a refusal is not believed: a cluster that has just started refuses all until it has found its users."""
_SECONDS_BETWEEN_TRIES = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Login:
    """
    A login that worked.

    Attributes:
        cluster: Elasticsearch, as the superuser sees it.
        password_file: Which file held the password.
    """

    cluster: Cluster
    password_file: Path


def next_password(settings: Settings) -> Path:
    """Return where the superuser's new password lies while it is being changed."""
    return settings.elastic_password.with_name("elastic_password.next")


def log_in(settings: Settings, say: Say) -> Login:
    """
    Wait for Elasticsearch and log in to it as the superuser; *say* is told what is being waited for.

    If a change of the password was interrupted, either of the two is the right one.

    Raises:
        OperatorError: If Elasticsearch does not answer, or knows neither password.
    """
    candidates = [settings.elastic_password, *filter(Path.exists, [next_password(settings)])]
    logins = [Login(cluster=_cluster(settings, path), password_file=path) for path in candidates]
    deadline = time.monotonic() + min(_DOUBTED_SECONDS, settings.wait_seconds)
    while True:
        for login in logins:
            if _is_let_in(login.cluster, settings.wait_seconds, say):
                return login
        if time.monotonic() >= deadline:
            raise OperatorError(
                f"{settings.elasticsearch_url} refuses the password in {settings.elastic_password}: the volume "
                "elasticsearch-data is left over from an earlier set-up with another one; put that one into the file, "
                "or begin anew, without any data, by: docker compose down --volumes"
            )
        say(f"waiting for {settings.elasticsearch_url}: it does not know its users yet, or the password is wrong")
        time.sleep(_SECONDS_BETWEEN_TRIES)


def knows(cluster: Cluster, user: str, password: str) -> bool:
    """
    Return whether *user* gets into *cluster* by *password*.

    Raises:
        OperatorError: If the cluster does not answer.
    """
    return authenticates(replace(cluster, user_and_password=(user, password)))


def authenticates(cluster: Cluster) -> bool:
    """
    Return whether *cluster* takes the credentials in it.

    Raises:
        OperatorError: If the cluster does not answer.
    """
    with cluster.client() as client, translate_errors(cluster, "checking a login"):
        try:
            client.security.authenticate()
        except (elasticsearch.AuthenticationException, elasticsearch.AuthorizationException):
            return False
    return True


def _cluster(settings: Settings, password_file: Path) -> Cluster:
    return Cluster(
        url=settings.elasticsearch_url,
        user_and_password=(SUPERUSER, secret_files.read(password_file)),
        ca_file=str(settings.ca_file),
        namespace=settings.namespace,
    )


def _is_let_in(cluster: Cluster, wait_seconds: float, say: Say) -> bool:
    with cluster.client() as client, translate_errors(cluster, "logging in"):
        try:
            wait_until_ready(cluster, client, timeout_seconds=wait_seconds, on_progress=say)
        except elasticsearch.AuthenticationException:
            return False
    return True
