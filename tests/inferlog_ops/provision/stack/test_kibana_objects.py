"""
Kibana's objects are made by a user of their own, who is shut out afterwards while the rules' keys go on to work.

Kibana is a stand-in that authenticates callers with the real Elasticsearch, like Kibana.
"""

import base64
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest
from elasticsearch import Elasticsearch

from inferlog_ops.core.errors import OperatorError
from inferlog_ops.provision.desired import ProvisionOutcome
from inferlog_ops.provision.stack import roles, secret_files
from inferlog_ops.provision.stack.kibana_objects import USER, provision_objects
from inferlog_ops.provision.stack.settings import StackSettings
from tests.support.installation import Stack
from tests.support.kibana_stand_in import KibanaStandIn, stand_in
from tests.support.store_calls import Call, create, send_call


@dataclass
class Callers:
    """
    Whom Elasticsearch took the callers of Kibana for.

    Attributes:
        stack: The Elasticsearch behind.
        known: Whether it let in who showed these credentials.
        names: All who were let in.
        keys: What Kibana was given for the rules to run by: an API key with the caller's rights.
    """

    stack: Stack
    known: dict[str, bool] = field(default_factory=dict)
    names: set[str] = field(default_factory=set)
    keys: list[str] = field(default_factory=list)

    def lets_callers_in(self, headers: dict[str, str]) -> bool:
        authorization = headers.get("authorization", "")
        if authorization not in self.known:
            self.known[authorization] = self._authenticate(authorization)
        return self.known[authorization]

    def _authenticate(self, authorization: str) -> bool:
        with replace(self.stack.superuser, user_and_password=None).build_client() as client:
            answer = client.options(headers={"authorization": authorization}, ignore_status=401).security.authenticate()
        if "username" not in answer.body:
            return False
        self.names.add(answer["username"])
        self.keys.append(self._grant_key(answer["username"], authorization))
        return True

    def _grant_key(self, name: str, authorization: str) -> str:
        """Do as Kibana does for a rule: ask for a key in the name of the caller."""
        password = base64.b64decode(authorization.removeprefix("Basic ")).decode().partition(":")[2]
        kibana = self.stack.as_user("kibana_system", secret_files.read(self.stack.settings.kibana_system_password))
        with kibana.build_client() as client:
            key = client.security.grant_api_key(
                grant_type="password", username=name, password=password, api_key={"name": "Alerting: a rule"}
            )
        return str(key["encoded"])


@pytest.fixture
def kibana(stack: Stack, tmp_path: Path) -> Iterator[tuple[StackSettings, KibanaStandIn, Callers]]:
    """Set-up's settings for a Kibana that shows the certificate which prepare made for it."""
    folder = stack.settings.secrets / "kibana"
    pair = tmp_path / "kibana.pem"
    pair.write_bytes((folder / "kibana.key").read_bytes() + (folder / "kibana.crt").read_bytes())
    callers = Callers(stack)
    with stand_in(certificate=pair) as server:
        server.lets_in = callers.lets_callers_in
        yield replace(stack.settings, kibana_url=server.url), server, callers


def test_objects_are_created_by_their_own_user(
    kibana: tuple[StackSettings, KibanaStandIn, Callers], admin: Elasticsearch
) -> None:
    settings, server, callers = kibana
    done = provision_objects(settings)
    assert callers.names == {USER}
    assert {each.outcome for each in done[1:]} == {ProvisionOutcome.CREATED}
    assert any(call.startswith("POST /api/alerting/rule/") for call in server.writes)
    user = admin.security.get_user(username=USER)[USER]
    assert (user["enabled"], user["roles"]) == (False, [roles.RULES])


def test_second_run_changes_nothing(kibana: tuple[StackSettings, KibanaStandIn, Callers]) -> None:
    settings, server, _ = kibana
    provision_objects(settings)
    server.writes.clear()
    assert {each.outcome for each in provision_objects(settings)} == {ProvisionOutcome.UNCHANGED}
    assert server.writes == []


def test_rules_keep_running_with_the_privileges_of_their_role(
    stack: Stack, kibana: tuple[StackSettings, KibanaStandIn, Callers]
) -> None:
    settings, _, callers = kibana
    provision_objects(settings)
    query = {"query": "FROM logs-inference.events-* | LIMIT 1"}
    with stack.as_key(callers.keys[0]).build_client() as rule:
        assert send_call(rule, Call(what="asks", method="POST", path="/_query", body=query)) == 200
        assert send_call(rule, create("writes an event", "logs-inference.events-default", "by-a-rule")) == 403
        assert send_call(rule, create("writes an alert", "inferlog-alerts-default", "by-a-rule")) == 201
        assert send_call(rule, Call(what="lists users", method="GET", path="/_security/user")) == 403


def test_user_is_disabled_after_an_error_of_kibana(
    kibana: tuple[StackSettings, KibanaStandIn, Callers], admin: Elasticsearch
) -> None:
    settings, server, _ = kibana

    def die(_call: str) -> None:
        raise ConnectionAbortedError

    server.before_write = die
    with pytest.raises(OperatorError, match="does not answer"):
        provision_objects(settings)
    assert not admin.security.get_user(username=USER)[USER]["enabled"]


def test_kibana_that_does_not_start_is_reported_after_the_timeout(stack: Stack, admin: Elasticsearch) -> None:
    settings = replace(stack.settings, kibana_url="https://127.0.0.1:1", wait_seconds=2)
    with pytest.raises(OperatorError, match=r"https://127.0.0.1:1 was not ready after 2 s"):
        provision_objects(settings)
    assert not admin.security.get_user(username=USER)[USER]["enabled"]
