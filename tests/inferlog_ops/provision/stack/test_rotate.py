"""Rotation of secrets: changed in the server and in the file; the next run completes an interrupted one."""

import socket
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

import pytest
from elasticsearch import Elasticsearch
from elasticsearch._sync.client.security import SecurityClient

from inferlog_ops.provision.elasticsearch.server import ElasticsearchServer
from inferlog_ops.provision.stack import secret_files
from inferlog_ops.provision.stack.api_keys import encode_key
from inferlog_ops.provision.stack.login import accepts_credentials, accepts_password, locate_next_password, log_in
from inferlog_ops.provision.stack.provision import provision
from inferlog_ops.provision.stack.rotate import TO_DO, RotatableSecret, rotate
from tests.support.installation import Stack
from tests.support.polling import wait_until


class Interrupted(Exception):  # noqa: N818 (simulates the end of the process)
    pass


def rotate_secret(stack: Stack, what: RotatableSecret) -> None:
    rotate(stack.settings, what, datetime.now(UTC), print)


@contextmanager
def interrupt_at(where: object, name: str) -> Iterator[None]:
    """Have the block end where *name* is called."""

    def end(*_arguments: object, **_options: object) -> None:
        raise Interrupted

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(where, name, end)
        with pytest.raises(Interrupted):
            yield


@pytest.mark.parametrize("user", [RotatableSecret.ELASTIC, RotatableSecret.KIBANA_SYSTEM, RotatableSecret.OPERATOR])
def test_only_the_new_password_is_valid_after_rotation(stack: Stack, user: RotatableSecret) -> None:
    file = {
        RotatableSecret.ELASTIC: stack.settings.elastic_password,
        RotatableSecret.KIBANA_SYSTEM: stack.settings.kibana_system_password,
        RotatableSecret.OPERATOR: stack.settings.operator_password,
    }[user]
    before = secret_files.read(file)
    rotate_secret(stack, user)
    after = secret_files.read(file)
    assert after != before
    assert accepts_password(stack.superuser, user, after)
    assert not accepts_password(stack.superuser, user, before)
    assert file.stat().st_mode & 0o777 == 0o600


def test_kibana_s_settings_follow_its_password_and_keep_its_keys(stack: Stack) -> None:
    settings_file = stack.settings.secrets / "kibana/kibana.secrets.yml"
    before = settings_file.read_text().splitlines()
    rotate_secret(stack, RotatableSecret.KIBANA_SYSTEM)
    after = settings_file.read_text().splitlines()
    assert after[0] == f'elasticsearch.password: "{secret_files.read(stack.settings.kibana_system_password)}"'
    assert after[0] != before[0]
    assert after[1:] == before[1:]


@pytest.mark.parametrize(
    ("what", "file"),
    [
        (RotatableSecret.FLUENTD, "fluentd/elasticsearch_api_key"),
        (RotatableSecret.DASHBOARDS, "operator/elasticsearch_api_key"),
    ],
)
def test_only_the_new_key_is_valid_after_rotation(stack: Stack, what: RotatableSecret, file: str) -> None:
    path = stack.settings.secrets / file
    before = stack.as_key(encode_key(secret_files.read(path)))
    rotate_secret(stack, what)
    assert accepts_credentials(stack.as_key(encode_key(secret_files.read(path))))
    assert not accepts_credentials(before)


def test_elasticsearch_reloads_its_new_certificate(stack: Stack) -> None:
    host, port = stack.settings.elasticsearch_url.removeprefix("https://").split(":")
    context = ssl.create_default_context(cafile=stack.settings.ca_file)

    def shown() -> bytes | None:
        with (
            socket.create_connection((host, int(port)), timeout=20) as connection,
            context.wrap_socket(connection, server_hostname=host) as secured,
        ):
            return secured.getpeercert(binary_form=True)

    before = shown()
    rotate_secret(stack, RotatableSecret.CERTIFICATES)
    wait_until(lambda: shown() != before, timeout_seconds=60, what="Elasticsearch to read its new certificate")


def test_old_password_is_valid_after_an_early_interruption(stack: Stack) -> None:
    before = secret_files.read(stack.settings.elastic_password)
    with interrupt_at(SecurityClient, "change_password"):
        rotate_secret(stack, RotatableSecret.ELASTIC)
    coming = secret_files.read(locate_next_password(stack.settings))
    assert log_in(stack.settings, print).password_file == stack.settings.elastic_password
    rotate_secret(stack, RotatableSecret.ELASTIC)
    assert secret_files.read(stack.settings.elastic_password) == coming != before
    assert not locate_next_password(stack.settings).exists()


def test_superuser_can_log_in_after_a_late_interruption(stack: Stack, admin: Elasticsearch) -> None:
    before = stack.settings.elastic_password.read_bytes()
    rotate_secret(stack, RotatableSecret.ELASTIC)
    # As it would be if the process had ended between the two.
    stack.settings.elastic_password.rename(locate_next_password(stack.settings))
    secret_files.create(stack.settings.elastic_password, before)
    assert log_in(stack.settings, print).password_file == locate_next_password(stack.settings)
    provision(stack.settings)
    rotate_secret(stack, RotatableSecret.ELASTIC)
    assert not locate_next_password(stack.settings).exists()
    assert log_in(stack.settings, print).password_file == stack.settings.elastic_password


@pytest.mark.parametrize("user", [RotatableSecret.KIBANA_SYSTEM, RotatableSecret.OPERATOR])
def test_interrupted_change_of_a_user_is_finished_by_provision(stack: Stack, user: RotatableSecret) -> None:
    is_built_in = user is RotatableSecret.KIBANA_SYSTEM
    with interrupt_at(*((SecurityClient, "change_password") if is_built_in else (ElasticsearchServer, "send"))):
        rotate_secret(stack, user)
    provision(stack.settings)
    file = (
        stack.settings.kibana_system_password
        if user is RotatableSecret.KIBANA_SYSTEM
        else stack.settings.operator_password
    )
    assert accepts_password(stack.superuser, user, secret_files.read(file))


def test_interrupted_key_rotation_leaves_no_orphan_key(stack: Stack, admin: Elasticsearch) -> None:
    with interrupt_at(secret_files, "replace"):
        rotate_secret(stack, RotatableSecret.FLUENTD)
    assert len(admin.security.get_api_key(name="inferlog-fluentd", active_only=True)["api_keys"]) == 2
    provision(stack.settings)
    (left,) = admin.security.get_api_key(name="inferlog-fluentd", active_only=True)["api_keys"]
    raw = secret_files.read(stack.settings.secrets / "fluentd/elasticsearch_api_key")
    assert raw.startswith(f"{left['id']}:")
    assert accepts_credentials(stack.as_key(encode_key(raw)))


def test_each_rotation_prints_the_next_step() -> None:
    assert TO_DO.keys() == set(RotatableSecret)
