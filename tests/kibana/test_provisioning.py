"""Provisioning of a real Kibana: repeatable, concurrent, and careful with the changes of users."""

import json
import os
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from inferlog_ops.provision.desired import ProvisionedObject, ProvisionOutcome, Request
from inferlog_ops.provision.kibana import data_views
from inferlog_ops.provision.kibana.address import Kibana
from inferlog_ops.provision.kibana.bodies import SCRIPT, write_bodies
from inferlog_ops.provision.kibana.capabilities import detect_capabilities
from inferlog_ops.provision.kibana.client import KibanaClient, KibanaResponse
from inferlog_ops.provision.kibana.identity import build_object_id, build_object_uuid
from inferlog_ops.provision.kibana.plan import Plan, build_plan
from inferlog_ops.provision.kibana.provision import provision_kibana
from inferlog_ops.provision.kibana.saved_objects import ensure_objects, mark_object
from inferlog_ops.provision.kibana.sessions import build_session
from inferlog_ops.query.library import load_all
from inferlog_ops.query.rules import rules
from tests.support.real_kibana import delete_afterwards, require_kibana

pytestmark = [pytest.mark.kibana, pytest.mark.timeout(600)]

KIBANA, _ = require_kibana()
UNCHANGED = {ProvisionOutcome.UNCHANGED}


@dataclass(frozen=True)
class Provisioned:
    """A real Kibana with all objects of one namespace, created by two runs at the same time."""

    kibana: Kibana
    namespace: str
    plan: Plan
    runs: list[list[ProvisionedObject]]

    def call(self, method: str, path: str, body: Any = None) -> KibanaResponse:
        with KibanaClient(self.kibana) as client:
            return client.send(Request(method=method, path=path, body=body), "testing")

    def read_data_view(self, base: str) -> Any:
        return self.call("GET", f"/api/data_views/data_view/{build_object_id(base, self.namespace)}").json["data_view"]

    def read_dashboard(self, base: str) -> dict[str, Any]:
        body = {"objects": [{"type": "dashboard", "id": build_object_id(base, self.namespace)}]}
        first_line = self.call("POST", "/api/saved_objects/_export", body).body.splitlines()[0]
        exported: dict[str, Any] = json.loads(first_line)
        return exported

    def build_rule_path(self, name: str) -> str:
        return f"/api/alerting/rule/{build_object_uuid('rule', build_object_id(name, self.namespace))}"


@pytest.fixture(scope="module")
def provisioned() -> Iterator[Provisioned]:
    namespace = f"t{uuid4().hex[:8]}"
    plan = build_plan(namespace)
    with delete_afterwards(KIBANA, plan), ThreadPoolExecutor(2) as pool:
        runs = list(pool.map(lambda _: provision_kibana(KIBANA, namespace), range(2)))
        yield Provisioned(KIBANA, namespace, plan, runs)


def _list_reasons(done: list[ProvisionedObject]) -> list[str]:
    return [each.reason for each in done if each.reason]


def test_two_runs_at_the_same_time_both_succeed(provisioned: Provisioned) -> None:
    for run in provisioned.runs:
        assert _list_reasons(run) == []
    assert {each.kind for each in provisioned.runs[0]} == {
        "data view",
        "dashboard",
        "saved query",
        "connector",
        "rule",
    }


def test_next_run_finds_everything_unchanged(provisioned: Provisioned) -> None:
    done = provision_kibana(provisioned.kibana, provisioned.namespace)
    assert {each.outcome for each in done} == UNCHANGED


def test_changes_of_users_survive_an_upgrade(provisioned: Provisioned, monkeypatch: pytest.MonkeyPatch) -> None:
    view_path = f"/api/data_views/data_view/{build_object_id('inferlog-events', provisioned.namespace)}"
    runtime_field = {"name": "mine", "runtimeField": {"type": "keyword", "script": {"source": "emit('x')"}}}
    assert provisioned.call("POST", f"{view_path}/runtime_field", runtime_field).status == 200
    labels = {"fields": {"http.route": {"customLabel": "Route of mine"}}}
    assert provisioned.call("POST", f"{view_path}/fields", labels).status == 200
    rule = provisioned.build_rule_path("inferlog-error-rate")
    assert provisioned.call("POST", f"{rule}/_disable").status == 204
    assert {each.outcome for each in provision_kibana(provisioned.kibana, provisioned.namespace)} == UNCHANGED

    # A newer inferlog: other names, other schedules.
    views, alert_rules = data_views.load_all(), rules.load_all()
    views["inferlog-events"] = {**views["inferlog-events"], "name": "renamed"}
    alert_rules["error_rate"] = replace(alert_rules["error_rate"], every=2 * alert_rules["error_rate"].every)
    with monkeypatch.context() as patch:
        patch.setattr(data_views, "load_all", lambda: views)
        patch.setattr(rules, "load_all", lambda: alert_rules)
        done = provision_kibana(provisioned.kibana, provisioned.namespace)
    updated = {each.name for each in done if each.outcome is ProvisionOutcome.UPDATED}
    bases = ("inferlog-events", "inferlog-error-rate")
    assert updated == {build_object_id(base, provisioned.namespace) for base in bases}
    found = provisioned.read_data_view("inferlog-events")
    assert found["name"].startswith("renamed")
    assert "mine" in found["runtimeFieldMap"]
    assert found["fieldAttrs"]["http.route"]["customLabel"] == "Route of mine"
    found = provisioned.call("GET", rule).json
    assert (found["enabled"], found["schedule"]) == (False, {"interval": "2m"})
    done = provision_kibana(provisioned.kibana, provisioned.namespace)
    assert {each.name for each in done if each.outcome is ProvisionOutcome.UPDATED} == updated


def test_edited_dashboard_stays(provisioned: Provisioned) -> None:
    edited = provisioned.read_dashboard("inferlog-canary")
    edited["attributes"]["title"] = "Edited by somebody"
    lines = Request(
        method="POST", path="/api/saved_objects/_import?overwrite=true", body=[edited], file_name="x.ndjson"
    )
    with KibanaClient(provisioned.kibana) as client:
        assert client.send(lines, "editing").json["success"]
    assert {each.outcome for each in provision_kibana(provisioned.kibana, provisioned.namespace)} == UNCHANGED
    assert provisioned.read_dashboard("inferlog-canary")["attributes"]["title"] == "Edited by somebody"


def test_object_of_a_newer_kibana_is_refused_alone() -> None:
    session = build_session(load_all()["routes"], f"t{uuid4().hex[:8]}")
    objects = [
        mark_object(
            "saved query", "test.esql", replace(session, id=f"{session.id}-{number}", type_migration_version=version)
        )
        for number, version in enumerate(("7.9.3", "99.0.0", "7.9.3"))
    ]
    with delete_afterwards(KIBANA, Plan(data_views=(), saved_objects=tuple(objects), rules=())):
        with KibanaClient(KIBANA) as client:
            done = ensure_objects(client, objects)
        assert [each.outcome.value for each in done] == ["created", "refused", "created"], _list_reasons(done)
        assert "more recent version of Kibana" in str(done[1].reason)


def test_version_is_known_and_the_table_of_abilities_is_true() -> None:
    rule = {
        "name": "never created",
        "rule_type_id": ".es-query",
        "consumer": "stackAlerts",
        "schedule": {"interval": "1m"},
    }
    with KibanaClient(KIBANA) as client:
        capabilities = detect_capabilities(client)

        def refuse(body: dict[str, Any]) -> str:
            """Send a body that no version accepts, and return the first fault that Kibana finds in it."""
            response = client.send(Request(method="POST", path=f"/api/alerting/rule/{uuid4()}", body=body), "testing")
            assert response.status == 400
            return response.message

        params = {
            "searchType": "esqlQuery",
            "esqlQuery": {"esql": "FROM none"},
            "timeField": "@timestamp",
            "timeWindowSize": 1,
            "timeWindowUnit": "m",
            "threshold": [0],
            "thresholdComparator": ">",
            "size": 1,
            "groupBy": "row",
            "termSize": 0,
        }
        assert ("invalid groupBy" in refuse({**rule, "params": params})) is not capabilities.alerts_by_row
        unknown = "definition for this key is missing" in refuse({**rule, "params": {}, "artifacts": {"dashboards": 1}})
        # 8.19 may know artifacts too: then they are omitted although they would be accepted.
        assert not (unknown and capabilities.takes_artifacts)


def test_objects_are_created_in_a_space() -> None:
    space, namespace = f"inferlog-test-{uuid4().hex[:8]}", f"t{uuid4().hex[:8]}"
    in_space = replace(KIBANA, space=space)
    plan = build_plan(namespace)
    with KibanaClient(KIBANA) as client:
        made = client.send(
            Request(method="POST", path="/api/spaces/space", body={"id": space, "name": space}), "testing"
        )
        assert made.status == 200, made.message
        try:
            with delete_afterwards(in_space, plan):
                assert _list_reasons(provision_kibana(in_space, namespace)) == []
                assert client.send(plan.data_views[0].read, "reading").status == 404
        finally:
            client.send(Request(method="DELETE", path=f"/api/spaces/space/{space}"), "cleaning up")


def test_script_creates_what_the_command_would_create(tmp_path: Path) -> None:
    namespace = f"t{uuid4().hex[:8]}"
    plan = build_plan(namespace)
    write_bodies(tmp_path, plan)
    key = {"KIBANA_API_KEY": KIBANA.api_key} if KIBANA.api_key else {}
    with delete_afterwards(KIBANA, plan):
        sent = subprocess.run(
            [str(tmp_path / SCRIPT)],
            env={"PATH": os.environ["PATH"], "KIBANA_URL": KIBANA.base_url, **key},
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        assert sent.returncode == 0, sent.stderr
        done = provision_kibana(KIBANA, namespace)
        # A newer Kibana gets its own form of the rules.
        assert {each.outcome for each in done} <= {ProvisionOutcome.UNCHANGED, ProvisionOutcome.UPDATED}
        assert {each.outcome for each in done if each.kind in {"data view", "saved query", "connector"}} == UNCHANGED
