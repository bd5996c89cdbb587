"""Provisioning of a stand-in for Kibana: repeatable, in order, and never changes foreign objects."""

import json
from pathlib import Path
from typing import Any

import pytest

from inferlog_ops.provision.elasticsearch import ProvisionedObject, ProvisionOutcome
from inferlog_ops.provision.kibana import data_views
from inferlog_ops.provision.kibana.address import Kibana
from inferlog_ops.provision.kibana.identity import build_object_uuid
from inferlog_ops.provision.kibana.provision import provision_kibana
from inferlog_ops.provision.kibana.rules import build_connector_id
from inferlog_ops.query import library as query_files
from inferlog_ops.query.dashboards import files as dashboard_files
from inferlog_ops.query.rules import rules as rule_files
from tests.support.kibana_stand_in import KibanaStandIn

KINDS = ["data view", "dashboard", "saved query", "connector", "rule"]
CONNECTOR = build_connector_id("default")


def _collect_names(provisioned: list[ProvisionedObject], outcome: ProvisionOutcome) -> set[str]:
    return {each.name for each in provisioned if each.outcome is outcome}


def _find_rule(server: KibanaStandIn, name: str) -> dict[str, Any]:
    return server.objects.find_contents("alert")[build_object_uuid("rule", name)]


def _collect_reasons(provisioned: list[ProvisionedObject]) -> dict[str, str]:
    return {each.name: each.reason for each in provisioned if each.reason}


def _edit(file: Path, **changes: object) -> None:
    file.write_text(json.dumps({**json.loads(file.read_text()), **changes}))


def test_first_run_creates_everything_there_is_a_file_for(kibana: Kibana, server: KibanaStandIn) -> None:
    provisioned = provision_kibana(kibana, "default")
    assert {each.outcome for each in provisioned} == {ProvisionOutcome.CREATED}
    assert list(dict.fromkeys(each.kind for each in provisioned)) == KINDS
    assert set(server.objects.find_contents("index-pattern")) == set(data_views.load_all())
    assert set(server.objects.find_contents("dashboard")) == set(dashboard_files.load_all())
    assert set(server.objects.find_contents("action")) == {CONNECTOR}
    assert len(server.objects.find_contents("alert")) == len(rule_files.load_all())
    assert set(server.objects.find_contents("search")) == {f"inferlog-query-{name}" for name in query_files.load_all()}


def test_second_run_finds_everything_unchanged_and_writes_nothing(kibana: Kibana, server: KibanaStandIn) -> None:
    first = provision_kibana(kibana, "default")
    server.writes.clear()
    second = provision_kibana(kibana, "default")
    assert {each.outcome for each in second} == {ProvisionOutcome.UNCHANGED}
    assert [each.name for each in second] == [each.name for each in first]
    assert server.writes == []


def test_references_exist_before_their_users(kibana: Kibana, server: KibanaStandIn) -> None:
    provision_kibana(kibana, "default")
    kinds = ["data_views", "_import", "connector", "rule"]
    order = [next(index for index, kind in enumerate(kinds) if kind in write) for write in server.writes]
    assert order == sorted(order)


def test_edited_dashboard_alone_is_updated(kibana: Kibana, server: KibanaStandIn, files: Path) -> None:
    provision_kibana(kibana, "default")
    _edit(files / "dashboards/inferlog-overview.json", description="Another overview")
    server.writes.clear()
    again = provision_kibana(kibana, "default")
    assert _collect_names(again, ProvisionOutcome.UPDATED) == {"inferlog-overview"}
    assert server.writes == ["POST /api/saved_objects/_import"]
    dashboard = server.objects.find_contents("dashboard")["inferlog-overview"]
    assert dashboard["attributes"]["description"].startswith("Another overview [")
    assert {each.outcome for each in provision_kibana(kibana, "default")} == {ProvisionOutcome.UNCHANGED}


def test_dashboard_that_somebody_edited_stays_until_its_file_changes(
    kibana: Kibana, server: KibanaStandIn, files: Path
) -> None:
    provision_kibana(kibana, "default")
    server.objects.find_contents("dashboard")["inferlog-canary"]["attributes"]["title"] = "Mine"
    assert _collect_names(provision_kibana(kibana, "default"), ProvisionOutcome.UPDATED) == set()
    _edit(files / "dashboards/inferlog-canary.json", description="Another canary")
    assert _collect_names(provision_kibana(kibana, "default"), ProvisionOutcome.UPDATED) == {"inferlog-canary"}
    assert server.objects.find_contents("dashboard")["inferlog-canary"]["attributes"]["title"] != "Mine"


def test_edited_data_view_keeps_what_its_users_added(kibana: Kibana, server: KibanaStandIn, files: Path) -> None:
    provision_kibana(kibana, "default")
    view = server.objects.find_contents("index-pattern")["inferlog-events"]
    view["runtimeFieldMap"] = {"mine": {"type": "keyword"}}
    view["fieldAttrs"]["http.route"] = {"customLabel": "Route"}
    _edit(files / "kibana/data_views/inferlog-events.json", name="Events")
    assert _collect_names(provision_kibana(kibana, "default"), ProvisionOutcome.UPDATED) == {"inferlog-events"}
    view = server.objects.find_contents("index-pattern")["inferlog-events"]
    assert view["name"] == "Events"
    assert view["runtimeFieldMap"] == {"mine": {"type": "keyword"}}
    assert view["fieldAttrs"]["http.route"] == {"customLabel": "Route"}
    assert _collect_names(provision_kibana(kibana, "default"), ProvisionOutcome.UPDATED) == set()


def test_edited_query_updates_all_its_users(kibana: Kibana, server: KibanaStandIn, files: Path) -> None:
    provision_kibana(kibana, "default")
    with (files / "dashboards/queries/p99_latency.esql").open("a") as query:
        query.write("| WHERE requests > 7\n")
    updated = _collect_names(provision_kibana(kibana, "default"), ProvisionOutcome.UPDATED)
    assert {"inferlog-p99-latency", "inferlog-query-p99_latency"} <= updated
    assert "inferlog-events" not in updated
    rule = _find_rule(server, "inferlog-p99-latency")
    assert "| WHERE requests > 7\n" in rule["params"]["esqlQuery"]["esql"]


def test_edited_rule_stays_disabled_if_somebody_disabled_it(kibana: Kibana, server: KibanaStandIn, files: Path) -> None:
    provision_kibana(kibana, "default")
    _find_rule(server, "inferlog-error-rate")["enabled"] = False
    _edit(files / "dashboards/rules/error_rate.json", every="7m")
    assert _collect_names(provision_kibana(kibana, "default"), ProvisionOutcome.UPDATED) == {"inferlog-error-rate"}
    rule = _find_rule(server, "inferlog-error-rate")
    assert (rule["enabled"], rule["schedule"]) == (False, {"interval": "7m"})


def test_service_level_of_a_user_reaches_rules(
    kibana: Kibana, server: KibanaStandIn, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    provision_kibana(kibana, "default")
    (tmp_path / "slo.json").write_text('{"p99_latency_seconds": 1.25}')
    monkeypatch.setenv("INFERLOG_SLO_FILE", str(tmp_path / "slo.json"))
    updated = _collect_names(provision_kibana(kibana, "default"), ProvisionOutcome.UPDATED)
    assert "inferlog-p99-latency" in updated
    assert "1.25" in _find_rule(server, "inferlog-p99-latency")["params"]["esqlQuery"]["esql"]


def test_changed_connector_is_restored(kibana: Kibana, server: KibanaStandIn) -> None:
    provision_kibana(kibana, "default")
    server.objects.find_contents("action")[CONNECTOR]["config"]["index"] = "inferlog-alerts-elsewhere"
    assert _collect_names(provision_kibana(kibana, "default"), ProvisionOutcome.UPDATED) == {"inferlog-alerts"}
    assert server.objects.find_contents("action")[CONNECTOR]["config"]["index"] == "inferlog-alerts-default"


def test_two_namespaces_share_one_kibana(kibana: Kibana, server: KibanaStandIn) -> None:
    provision_kibana(kibana, "default")
    second = provision_kibana(kibana, "team.a")
    assert {each.outcome for each in second} == {ProvisionOutcome.CREATED}
    assert all(each.name.endswith("-team-a") for each in second)
    dashboard = server.objects.find_contents("dashboard")["inferlog-overview-team-a"]
    assert dashboard["attributes"]["title"].endswith(" (team.a)")
    assert "logs-inference.events-default" not in json.dumps(
        server.objects.find_contents("search")["inferlog-query-routes-team-a"]
    )
    rule = _find_rule(server, "inferlog-error-rate-team-a")
    assert rule["actions"][0]["id"] == build_connector_id("team.a")
    assert (
        server.objects.find_contents("index-pattern")["inferlog-events-team-a"]["title"]
        == "logs-inference.events-team.a"
    )
    assert {each.outcome for each in provision_kibana(kibana, "default")} == {ProvisionOutcome.UNCHANGED}


def test_longest_namespace_gives_valid_ids(kibana: Kibana, server: KibanaStandIn) -> None:
    provisioned = provision_kibana(kibana, "a" * 100)
    assert {each.outcome for each in provisioned} == {ProvisionOutcome.CREATED}


def test_objects_are_created_in_the_given_space(kibana: Kibana, server: KibanaStandIn) -> None:
    server.spaces.add("ops")
    ops = Kibana(base_url=kibana.base_url, api_key=kibana.api_key, space="ops")
    assert {each.outcome for each in provision_kibana(ops, "default")} == {ProvisionOutcome.CREATED}
    assert server.objects.find_contents("dashboard", "default") == {}
    assert "inferlog-overview" in server.objects.find_contents("dashboard", "ops")
    assert {each.outcome for each in provision_kibana(ops, "default")} == {ProvisionOutcome.UNCHANGED}


@pytest.mark.parametrize(
    ("kind", "object_id", "name", "content"),
    [
        ("dashboard", "inferlog-canary", "", {"attributes": {"title": "Mine", "description": "by hand"}}),
        ("dashboard", "inferlog-canary", "", {"attributes": {"title": "Mine"}}),
        ("search", "inferlog-query-routes", "", {"attributes": {"title": "Mine", "description": ""}}),
        ("index-pattern", "inferlog-app", "", {"title": "logs-*", "name": "Mine", "fieldAttrs": {}}),
        ("action", CONNECTOR, "inferlog-alerts", {"name": "x", "connector_type_id": ".email", "config": {}}),
        (
            "action",
            CONNECTOR,
            "inferlog-alerts",
            {"name": "x", "connector_type_id": ".index", "config": {"index": "mine"}},
        ),
        (
            "alert",
            build_object_uuid("rule", "inferlog-error-rate"),
            "inferlog-error-rate",
            {"name": "Mine", "tags": ["inferlog"]},
        ),
    ],
)
def test_foreign_object_is_kept_and_the_others_are_created(
    kibana: Kibana, server: KibanaStandIn, kind: str, object_id: str, name: str, content: dict[str, object]
) -> None:
    server.objects.put(kind, object_id, "default", {"id": object_id, "type": kind, **content})
    provisioned = provision_kibana(kibana, "default")
    reasons = _collect_reasons(provisioned)
    assert "that inferlog did not create" in reasons.pop(name or object_id)
    assert reasons == {}
    assert server.objects.find_contents(kind)[object_id] == {"id": object_id, "type": kind, **content}


def test_foreign_data_view_with_the_same_name_is_kept(kibana: Kibana, server: KibanaStandIn) -> None:
    theirs = {"title": "other-*", "name": "inferlog application log", "fieldAttrs": {}}
    server.objects.put("index-pattern", "0b7c", "default", dict(theirs))
    provisioned = provision_kibana(kibana, "default")
    assert "Duplicate data view: inferlog application log" in _collect_reasons(provisioned)["inferlog-app"]
    assert server.objects.find_contents("index-pattern")["0b7c"] == theirs
    assert {each.outcome for each in provisioned if each.kind == "rule"} == {ProvisionOutcome.CREATED}


@pytest.mark.parametrize(
    ("kind", "object_id", "name"),
    [
        ("index-pattern", "inferlog-app", "inferlog-app"),
        ("dashboard", "inferlog-overview", "inferlog-overview"),
        ("search", "inferlog-query-routes", "inferlog-query-routes"),
        ("action", CONNECTOR, "inferlog-alerts"),
        ("alert", build_object_uuid("rule", "inferlog-error-rate"), "inferlog-error-rate"),
    ],
)
def test_id_of_another_space_is_reported(
    kibana: Kibana, server: KibanaStandIn, kind: str, object_id: str, name: str
) -> None:
    server.objects.put(kind, object_id, "elsewhere", {"title": "x"})
    reasons = _collect_reasons(provision_kibana(kibana, "default"))
    assert "another space" in reasons[name]
    assert server.objects.find_contents(kind, "elsewhere")[object_id] == {"title": "x"}


@pytest.mark.parametrize(("kind", "api"), [("alert", "/api/alerting/rule/"), ("index-pattern", "/api/data_views/")])
def test_object_created_by_a_parallel_run_is_updated(
    kibana: Kibana, server: KibanaStandIn, kind: str, api: str
) -> None:
    provision_kibana(kibana, "default")
    object_id = {"alert": build_object_uuid("rule", "inferlog-error-rate"), "index-pattern": "inferlog-app"}[kind]
    theirs = dict(server.objects.find_contents(kind)[object_id])
    older = {**theirs, "name": "older", "tags": ["[inferlog dashboards/rules/error_rate.json 000000000000]"]}
    del server.objects.stored[kind, object_id]

    def other_run(call: str) -> None:
        if call.startswith(f"POST {api}") and not server.objects.is_taken(kind, object_id):
            server.objects.put(kind, object_id, "default", older)

    server.before_write = other_run
    updated = _collect_names(provision_kibana(kibana, "default"), ProvisionOutcome.UPDATED)
    assert updated == {"alert": {"inferlog-error-rate"}, "index-pattern": {"inferlog-app"}}[kind]
    assert server.objects.find_contents(kind)[object_id]["name"] == theirs["name"]


@pytest.mark.parametrize(
    ("version", "group_by", "has_artifacts"),
    [("8.12.2", "all", False), ("8.19.7", "row", False), ("9.0.4", "all", False), ("9.5.0-SNAPSHOT", "row", True)],
)
def test_rules_have_the_form_of_the_version(
    kibana: Kibana, server: KibanaStandIn, version: str, group_by: str, has_artifacts: bool
) -> None:
    server.version = version
    provisioned = provision_kibana(kibana, "default")
    assert {each.outcome for each in provisioned} == {ProvisionOutcome.CREATED}
    rule = _find_rule(server, "inferlog-error-rate")
    assert (rule["params"]["groupBy"], "artifacts" in rule) == (group_by, has_artifacts)


def test_rules_are_updated_after_an_upgrade_of_kibana(kibana: Kibana, server: KibanaStandIn) -> None:
    provision_kibana(kibana, "default")
    server.version = "9.5.0"
    provisioned = provision_kibana(kibana, "default")
    assert {each.outcome for each in provisioned if each.kind == "rule"} == {ProvisionOutcome.UPDATED}
    assert {each.outcome for each in provision_kibana(kibana, "default")} == {ProvisionOutcome.UNCHANGED}
