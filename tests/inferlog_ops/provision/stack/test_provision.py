"""Provision on a real Elasticsearch with security: users get in, keys work, a second run changes nothing."""

import re
from dataclasses import replace
from pathlib import Path

import pytest
from elasticsearch import Elasticsearch

from inferlog_ops.core.cluster import Cluster
from inferlog_ops.core.errors import OperatorError
from inferlog_ops.provision.desired import ProvisionOutcome
from inferlog_ops.provision.stack import api_keys, roles, secret_files
from inferlog_ops.provision.stack.api_keys import ProgramKey, encode_key, ensure_key
from inferlog_ops.provision.stack.login import accepts_credentials, accepts_password, log_in
from inferlog_ops.provision.stack.provision import provision
from inferlog_ops.provision.stack.users import ensure_user
from tests.support.installation import Stack


def read_key(stack: Stack, file: Path) -> Cluster:
    return stack.as_key(encode_key(secret_files.read(file)))


@pytest.fixture
def wanted(tmp_path: Path, request: pytest.FixtureRequest) -> ProgramKey:
    """A key of these tests' own."""
    return ProgramKey(name=f"inferlog-{request.node.name}", role=roles.FLUENTD, file=tmp_path / "key")


def test_second_run_changes_nothing(stack: Stack) -> None:
    files = {path: path.read_bytes() for path in stack.settings.secrets.rglob("*") if path.is_file()}
    assert {each.outcome for each in provision(stack.settings)} == {ProvisionOutcome.UNCHANGED}
    assert {path: path.read_bytes() for path in stack.settings.secrets.rglob("*") if path.is_file()} == files


def test_passwords_in_the_files_of_kibana_and_operator_are_valid(stack: Stack, admin: Elasticsearch) -> None:
    for user, file in (
        ("kibana_system", stack.settings.kibana_system_password),
        ("operator", stack.settings.operator_password),
    ):
        assert accepts_password(stack.superuser, user, secret_files.read(file))
        assert not accepts_password(stack.superuser, user, "another")
    assert admin.security.get_user(username="operator")["operator"]["roles"] == [roles.OPERATOR]


def test_fluentd_key_has_the_format_of_its_plugin(stack: Stack) -> None:
    file = stack.settings.secrets / "fluentd/elasticsearch_api_key"
    assert re.fullmatch(r"[\w-]+:[\w-]+\n", file.read_text())
    assert file.stat().st_mode & 0o777 == 0o600
    assert accepts_credentials(read_key(stack, file))


def test_keys_have_the_privileges_of_their_roles_and_a_stamp(stack: Stack, admin: Elasticsearch) -> None:
    for wanted in (
        api_keys.define_fluentd_key(stack.settings),
        api_keys.define_dashboards_key(stack.settings),
        api_keys.define_summarize_key(stack.settings),
    ):
        (key,) = admin.security.get_api_key(name=wanted.name, active_only=True)["api_keys"]
        (descriptor,) = key["role_descriptors"].values()
        allowed = {(tuple(each["names"]), tuple(each["privileges"])) for each in descriptor["indices"]}
        meant = roles.load_rights(wanted.role)["indices"]
        assert allowed == {(tuple(each["names"]), tuple(each["privileges"])) for each in meant}
        assert descriptor["cluster"] == descriptor["applications"] == []
        assert key["metadata"]["managed_by"] == "inferlog"


def test_lost_key_file_gives_a_new_key_and_invalidates_the_old_one(
    stack: Stack, admin: Elasticsearch, wanted: ProgramKey
) -> None:
    assert ensure_key(admin, stack.superuser, wanted).outcome is ProvisionOutcome.CREATED
    before = read_key(stack, wanted.file)
    wanted.file.unlink()
    assert ensure_key(admin, stack.superuser, wanted).outcome is ProvisionOutcome.CREATED
    assert accepts_credentials(read_key(stack, wanted.file))
    assert not accepts_credentials(before)


@pytest.mark.parametrize("content", ["unknown:key\n", "no key at all\n"])
def test_unknown_key_is_replaced(stack: Stack, admin: Elasticsearch, wanted: ProgramKey, content: str) -> None:
    wanted.file.write_text(content)
    assert ensure_key(admin, stack.superuser, wanted).outcome is ProvisionOutcome.CREATED
    assert accepts_credentials(read_key(stack, wanted.file))


def test_key_of_a_changed_role_gets_the_new_privileges(stack: Stack, admin: Elasticsearch, wanted: ProgramKey) -> None:
    ensure_key(admin, stack.superuser, wanted)
    secret = wanted.file.read_text()
    wider = replace(wanted, role=roles.DASHBOARDS)
    assert ensure_key(admin, stack.superuser, wider).outcome is ProvisionOutcome.UPDATED
    assert wanted.file.read_text() == secret
    with read_key(stack, wanted.file).build_client() as client:
        client.search(index="logs-inference.events-default")


def test_foreign_keys_with_the_same_name_are_kept(stack: Stack, admin: Elasticsearch, wanted: ProgramKey) -> None:
    other_hand = admin.security.create_api_key(name=wanted.name)
    other_namespace = replace(stack.superuser, namespace="other")
    ensure_key(admin, other_namespace, wanted)
    theirs = read_key(stack, wanted.file)
    ensure_key(admin, stack.superuser, replace(wanted, file=wanted.file.with_name("mine")))
    assert accepts_credentials(stack.as_key(other_hand["encoded"]))
    assert accepts_credentials(theirs)


def test_manually_changed_role_is_restored_only_if_its_file_changed(stack: Stack, admin: Elasticsearch) -> None:
    assert roles.ensure_role(admin, roles.OPERATOR).outcome is ProvisionOutcome.UNCHANGED
    role = admin.security.get_role(name=roles.OPERATOR)[roles.OPERATOR]
    admin.security.put_role(
        name=roles.OPERATOR, indices=role["indices"], metadata={**role["metadata"], "sha256": "of an older file"}
    )
    assert roles.ensure_role(admin, roles.OPERATOR).outcome is ProvisionOutcome.UPDATED
    restored = admin.security.get_role(name=roles.OPERATOR)[roles.OPERATOR]
    assert restored["applications"] == role["applications"]


def test_foreign_role_and_user_stop_provisioning(
    stack: Stack, admin: Elasticsearch, monkeypatch: pytest.MonkeyPatch
) -> None:
    admin.security.put_role(name="theirs", cluster=["monitor"])
    monkeypatch.setattr(roles, "load", lambda _name: {"cluster": []})
    with pytest.raises(OperatorError, match="has a role theirs that inferlog did not create"):
        roles.ensure_role(admin, "theirs")
    admin.security.put_user(username="theirs", password="abcdefgh", roles=["theirs"])
    with pytest.raises(OperatorError, match="has a user theirs that inferlog did not create"):
        ensure_user(admin, stack.superuser, "theirs", "ijklmnop", roles.OPERATOR)
    assert accepts_password(stack.superuser, "theirs", "abcdefgh")


def test_password_of_another_volume_is_one_sentence(stack: Stack, tmp_path: Path) -> None:
    secrets = tmp_path / "secrets"
    secret_files.make_folder(secrets / "elasticsearch", 0o700)
    (secrets / "elasticsearch/elastic_password").write_text("quiteAnotherPassword\n")
    settings = replace(stack.settings, secrets=secrets, wait_seconds=2)
    said: list[str] = []
    with pytest.raises(OperatorError, match="the volume elasticsearch-data was set up with another password") as raised:
        log_in(settings, said.append)
    assert "\n" not in str(raised.value)
    assert "quiteAnotherPassword" not in f"{raised.value}{said}"
    assert "its users are not loaded yet, or the password is wrong" in said[0]


def test_wrong_authority_fails_at_once(stack: Stack, tmp_path: Path) -> None:
    other = tmp_path / "certificates"
    other.mkdir()
    (other / "ca.crt").write_bytes((stack.settings.secrets / "kibana/kibana.crt").read_bytes())
    with pytest.raises(OperatorError, match="certificate verify failed|CERTIFICATE_VERIFY_FAILED"):
        log_in(replace(stack.settings, certificates=other), print)


def test_unreachable_cluster_is_reported_after_the_timeout(stack: Stack) -> None:
    settings = replace(stack.settings, elasticsearch_url="https://127.0.0.1:1", wait_seconds=1)
    with pytest.raises(OperatorError, match=r"https://127.0.0.1:1 was not ready after 1 s"):
        log_in(settings, print)


def test_superuser_password_is_not_in_any_repr(stack: Stack) -> None:
    secret = secret_files.read(stack.settings.elastic_password)
    assert secret not in repr(stack.superuser)
    assert secret not in repr(log_in(stack.settings, print))
