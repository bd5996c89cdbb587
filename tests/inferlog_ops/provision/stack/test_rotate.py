"""Secrets are changed where they are checked and in their file; what is interrupted is finished by the next run."""

import socket
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

import pytest
from elasticsearch import Elasticsearch
from elasticsearch._sync.client.security import SecurityClient

from inferlog_ops.provision.stack import secret_files
from inferlog_ops.provision.stack.api_keys import encoded
from inferlog_ops.provision.stack.login import authenticates, knows, log_in, next_password
from inferlog_ops.provision.stack.provision import provision
from inferlog_ops.provision.stack.rotate import TO_DO, Rotated, rotate
from tests.support.installation import Stack
from tests.support.polling import wait_until


class Interrupted(Exception):  # noqa: N818 (stands for the end of the process)
    pass


def rotated(stack: Stack, what: Rotated) -> None:
    rotate(stack.settings, what, datetime.now(UTC), print)


@contextmanager
def interrupted_at(where: object, name: str) -> Iterator[None]:
    """Have the block end where *name* is called."""

    def end(*_arguments: object, **_options: object) -> None:
        raise Interrupted

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(where, name, end)
        with pytest.raises(Interrupted):
            yield


@pytest.mark.parametrize("user", [Rotated.ELASTIC, Rotated.KIBANA_SYSTEM, Rotated.OPERATOR])
def test_user_gets_in_by_the_new_password_only(stack: Stack, user: Rotated) -> None:
    file = {
        Rotated.ELASTIC: stack.settings.elastic_password,
        Rotated.KIBANA_SYSTEM: stack.settings.kibana_system_password,
        Rotated.OPERATOR: stack.settings.operator_password,
    }[user]
    before = secret_files.read(file)
    rotated(stack, user)
    after = secret_files.read(file)
    assert after != before
    assert knows(stack.superuser, user, after)
    assert not knows(stack.superuser, user, before)
    assert file.stat().st_mode & 0o777 == 0o600


def test_kibana_s_settings_follow_its_password_and_keep_its_keys(stack: Stack) -> None:
    settings_file = stack.settings.secrets / "kibana/kibana.secrets.yml"
    before = settings_file.read_text().splitlines()
    rotated(stack, Rotated.KIBANA_SYSTEM)
    after = settings_file.read_text().splitlines()
    assert after[0] == f'elasticsearch.password: "{secret_files.read(stack.settings.kibana_system_password)}"'
    assert after[0] != before[0]
    assert after[1:] == before[1:]


@pytest.mark.parametrize(
    ("what", "file"),
    [(Rotated.FLUENTD, "fluentd/elasticsearch_api_key"), (Rotated.DASHBOARDS, "operator/elasticsearch_api_key")],
)
def test_program_gets_in_by_the_new_key_only(stack: Stack, what: Rotated, file: str) -> None:
    path = stack.settings.secrets / file
    before = stack.as_key(encoded(secret_files.read(path)))
    rotated(stack, what)
    assert authenticates(stack.as_key(encoded(secret_files.read(path))))
    assert not authenticates(before)


def test_elasticsearch_shows_its_new_certificate_without_being_started_again(stack: Stack) -> None:
    host, port = stack.settings.elasticsearch_url.removeprefix("https://").split(":")
    context = ssl.create_default_context(cafile=stack.settings.ca_file)

    def shown() -> bytes | None:
        with (
            socket.create_connection((host, int(port)), timeout=20) as connection,
            context.wrap_socket(connection, server_hostname=host) as secured,
        ):
            return secured.getpeercert(binary_form=True)

    before = shown()
    rotated(stack, Rotated.CERTIFICATES)
    wait_until(lambda: shown() != before, timeout_seconds=60, what="Elasticsearch to read its new certificate")


def test_interrupted_before_the_cluster_knows_the_old_password_works(stack: Stack) -> None:
    before = secret_files.read(stack.settings.elastic_password)
    with interrupted_at(SecurityClient, "change_password"):
        rotated(stack, Rotated.ELASTIC)
    coming = secret_files.read(next_password(stack.settings))
    assert log_in(stack.settings, print).password_file == stack.settings.elastic_password
    rotated(stack, Rotated.ELASTIC)
    assert secret_files.read(stack.settings.elastic_password) == coming != before
    assert not next_password(stack.settings).exists()


def test_interrupted_before_the_file_is_swapped_the_superuser_is_not_locked_out(
    stack: Stack, admin: Elasticsearch
) -> None:
    before = stack.settings.elastic_password.read_bytes()
    rotated(stack, Rotated.ELASTIC)
    # As it would be if the process had ended between the two.
    stack.settings.elastic_password.rename(next_password(stack.settings))
    secret_files.create(stack.settings.elastic_password, before)
    assert log_in(stack.settings, print).password_file == next_password(stack.settings)
    provision(stack.settings)
    rotated(stack, Rotated.ELASTIC)
    assert not next_password(stack.settings).exists()
    assert log_in(stack.settings, print).password_file == stack.settings.elastic_password


@pytest.mark.parametrize("user", [Rotated.KIBANA_SYSTEM, Rotated.OPERATOR])
def test_interrupted_change_of_a_user_is_finished_by_provision(stack: Stack, user: Rotated) -> None:
    with interrupted_at(SecurityClient, "change_password" if user is Rotated.KIBANA_SYSTEM else "put_user"):
        rotated(stack, user)
    provision(stack.settings)
    file = stack.settings.kibana_system_password if user is Rotated.KIBANA_SYSTEM else stack.settings.operator_password
    assert knows(stack.superuser, user, secret_files.read(file))


def test_interrupted_change_of_a_key_leaves_none_that_nobody_knows(stack: Stack, admin: Elasticsearch) -> None:
    with interrupted_at(secret_files, "replace"):
        rotated(stack, Rotated.FLUENTD)
    assert len(admin.security.get_api_key(name="inferlog-fluentd", active_only=True)["api_keys"]) == 2
    provision(stack.settings)
    (left,) = admin.security.get_api_key(name="inferlog-fluentd", active_only=True)["api_keys"]
    raw = secret_files.read(stack.settings.secrets / "fluentd/elasticsearch_api_key")
    assert raw.startswith(f"{left['id']}:")
    assert authenticates(stack.as_key(encoded(raw)))


def test_each_rotation_says_what_is_to_be_done() -> None:
    assert TO_DO.keys() == set(Rotated)
