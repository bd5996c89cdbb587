"""Provisioning of a stand-in for Kibana: repeatable, in order, and never changes foreign objects."""

import json
from pathlib import Path

import pytest

from inferlog_ops.core.errors import OperatorError
from inferlog_ops.provision.elasticsearch import ProvisionedObject, ProvisionOutcome
from inferlog_ops.provision.kibana import data_views
from inferlog_ops.provision.kibana.address import Kibana
from inferlog_ops.provision.kibana.provision import provision_kibana
from inferlog_ops.query import library as query_files
from inferlog_ops.query.dashboards import files as dashboard_files
from inferlog_ops.query.rules import rules as rule_files
from tests.support.kibana_stand_in import KibanaStandIn

KINDS = ["data view", "dashboard", "connector", "rule", "saved query"]


def _names(provisioned: list[ProvisionedObject], outcome: ProvisionOutcome) -> set[str]:
    return {each.name for each in provisioned if each.outcome is outcome}


def _edit(file: Path, **changes: object) -> None:
    file.write_text(json.dumps({**json.loads(file.read_text()), **changes}))


def test_first_run_creates_everything_there_is_a_file_for(kibana: Kibana, server: KibanaStandIn) -> None:
    provisioned = provision_kibana(kibana, "default")
    assert {each.outcome for each in provisioned} == {ProvisionOutcome.CREATED}
    assert list(dict.fromkeys(each.kind for each in provisioned)) == KINDS
    assert set(server.objects.of("data_view")) == set(data_views.load_all())
    assert set(server.objects.of("dashboard")) == set(dashboard_files.load_all())
    assert set(server.objects.of("connector")) == {"inferlog-alerts"}
    assert len(server.objects.of("rule")) == len(rule_files.load_all())
    assert set(server.objects.of("search")) == {f"inferlog-query-{name}" for name in query_files.load_all()}


def test_second_run_finds_everything_unchanged_and_writes_nothing(kibana: Kibana, server: KibanaStandIn) -> None:
    first = provision_kibana(kibana, "default")
    server.writes.clear()
    second = provision_kibana(kibana, "default")
    assert {each.outcome for each in second} == {ProvisionOutcome.UNCHANGED}
    assert [each.name for each in second] == [each.name for each in first]
    assert server.writes == []


def test_references_exist_before_their_users(kibana: Kibana, server: KibanaStandIn) -> None:
    provision_kibana(kibana, "default")
    kinds = ["data_views", "dashboards", "connector", "rule", "_import"]
    order = [next(index for index, kind in enumerate(kinds) if kind in write) for write in server.writes]
    assert order == sorted(order)
    views = set(server.objects.of("data_view"))
    controls = [
        control["config"]
        for dashboard in server.objects.of("dashboard").values()
        for control in dashboard["pinned_panels"]
    ]
    assert {control["data_view_id"] for control in controls if "data_view_id" in control} <= views


def test_edited_dashboard_alone_is_updated(kibana: Kibana, server: KibanaStandIn, files: Path) -> None:
    provision_kibana(kibana, "default")
    _edit(files / "dashboards/inferlog-overview.json", description="Another overview")
    server.writes.clear()
    again = provision_kibana(kibana, "default")
    assert _names(again, ProvisionOutcome.UPDATED) == {"inferlog-overview"}
    assert server.writes == ["PUT /api/dashboards/inferlog-overview"]
    assert server.objects.of("dashboard")["inferlog-overview"]["description"].startswith("Another overview [")
    assert {each.outcome for each in provision_kibana(kibana, "default")} == {ProvisionOutcome.UNCHANGED}


def test_edited_data_view_keeps_what_its_users_added(kibana: Kibana, server: KibanaStandIn, files: Path) -> None:
    provision_kibana(kibana, "default")
    view = server.objects.of("data_view")["inferlog-events"]
    view["runtimeFieldMap"] = {"mine": {"type": "keyword"}}
    view["fieldAttrs"]["http.route"] = {"customLabel": "Route"}
    _edit(files / "kibana/data_views/inferlog-events.json", name="Events")
    assert _names(provision_kibana(kibana, "default"), ProvisionOutcome.UPDATED) == {"inferlog-events"}
    view = server.objects.of("data_view")["inferlog-events"]
    assert view["name"] == "Events"
    assert view["runtimeFieldMap"] == {"mine": {"type": "keyword"}}
    assert view["fieldAttrs"]["http.route"] == {"customLabel": "Route"}
    assert _names(provision_kibana(kibana, "default"), ProvisionOutcome.UPDATED) == set()


def test_edited_query_updates_all_its_users(kibana: Kibana, server: KibanaStandIn, files: Path) -> None:
    provision_kibana(kibana, "default")
    with (files / "dashboards/queries/p99_latency.esql").open("a") as query:
        query.write("| WHERE requests > 7\n")
    updated = _names(provision_kibana(kibana, "default"), ProvisionOutcome.UPDATED)
    assert {"inferlog-overview", "inferlog-p99-latency", "inferlog-query-p99_latency"} <= updated
    assert "inferlog-events" not in updated
    rule = server.objects.of("rule")["inferlog-p99-latency"]
    assert "| WHERE requests > 7\n" in rule["params"]["esqlQuery"]["esql"]


def test_edited_rule_stays_disabled_if_somebody_disabled_it(kibana: Kibana, server: KibanaStandIn, files: Path) -> None:
    provision_kibana(kibana, "default")
    server.objects.of("rule")["inferlog-error-rate"]["enabled"] = False
    _edit(files / "dashboards/rules/error_rate.json", every="7m")
    assert _names(provision_kibana(kibana, "default"), ProvisionOutcome.UPDATED) == {"inferlog-error-rate"}
    rule = server.objects.of("rule")["inferlog-error-rate"]
    assert (rule["enabled"], rule["schedule"]) == (False, {"interval": "7m"})


def test_service_level_of_a_user_reaches_panels_and_rules(
    kibana: Kibana, server: KibanaStandIn, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    provision_kibana(kibana, "default")
    (tmp_path / "slo.json").write_text('{"p99_latency_seconds": 1.25}')
    monkeypatch.setenv("INFERLOG_SLO_FILE", str(tmp_path / "slo.json"))
    updated = _names(provision_kibana(kibana, "default"), ProvisionOutcome.UPDATED)
    assert {"inferlog-overview", "inferlog-p99-latency"} <= updated
    assert "1.25" in json.dumps(server.objects.of("dashboard")["inferlog-overview"])


def test_changed_connector_is_restored(kibana: Kibana, server: KibanaStandIn) -> None:
    provision_kibana(kibana, "default")
    server.objects.of("connector")["inferlog-alerts"]["config"]["index"] = "inferlog-alerts-elsewhere"
    assert _names(provision_kibana(kibana, "default"), ProvisionOutcome.UPDATED) == {"inferlog-alerts"}
    assert server.objects.of("connector")["inferlog-alerts"]["config"]["index"] == "inferlog-alerts-default"


def test_two_namespaces_share_one_kibana(kibana: Kibana, server: KibanaStandIn) -> None:
    provision_kibana(kibana, "default")
    second = provision_kibana(kibana, "team.a")
    assert {each.outcome for each in second} == {ProvisionOutcome.CREATED}
    assert all(each.name.endswith("-team-a") for each in second)
    dashboard = server.objects.of("dashboard")["inferlog-overview-team-a"]
    text = json.dumps(dashboard)
    assert dashboard["title"].endswith(" (team.a)")
    assert "logs-inference.events-team.a" in text
    assert "logs-inference.events-default" not in text
    assert {control["config"]["data_view_id"] for control in dashboard["pinned_panels"]} == {"inferlog-events-team-a"}
    assert "#/view/inferlog-pipeline-health-team-a" in text
    rule = server.objects.of("rule")["inferlog-error-rate-team-a"]
    assert rule["actions"][0]["id"] == "inferlog-alerts-team-a"
    assert rule["artifacts"]["dashboards"] == [{"id": "inferlog-overview-team-a"}]
    assert server.objects.of("data_view")["inferlog-events-team-a"]["title"] == "logs-inference.events-team.a"
    assert {each.outcome for each in provision_kibana(kibana, "default")} == {ProvisionOutcome.UNCHANGED}


def test_longest_namespace_gives_valid_ids(kibana: Kibana, server: KibanaStandIn) -> None:
    provisioned = provision_kibana(kibana, "a" * 100)
    assert {each.outcome for each in provisioned} == {ProvisionOutcome.CREATED}
    assert {len(each) for each in server.objects.of("connector")} == {36}


def test_objects_are_created_in_the_given_space(kibana: Kibana, server: KibanaStandIn) -> None:
    server.spaces.add("ops")
    ops = Kibana(base_url=kibana.base_url, api_key=kibana.api_key, space="ops")
    assert {each.outcome for each in provision_kibana(ops, "default")} == {ProvisionOutcome.CREATED}
    assert server.objects.of("dashboard", "default") == {}
    assert "inferlog-overview" in server.objects.of("dashboard", "ops")
    assert {each.outcome for each in provision_kibana(ops, "default")} == {ProvisionOutcome.UNCHANGED}


@pytest.mark.parametrize(
    ("kind", "object_id", "content"),
    [
        ("dashboard", "inferlog-canary", {"title": "Mine", "description": "by hand"}),
        ("dashboard", "inferlog-canary", {"title": "Mine"}),
        ("data_view", "inferlog-events", {"title": "logs-*", "name": "Mine", "fieldAttrs": {}}),
        ("connector", "inferlog-alerts", {"name": "x", "connector_type_id": ".email", "config": {}}),
        ("connector", "inferlog-alerts", {"name": "x", "connector_type_id": ".index", "config": {"index": "mine"}}),
        ("rule", "inferlog-error-rate", {"name": "Mine", "tags": ["inferlog"]}),
    ],
)
def test_foreign_object_stops_provisioning_before_any_write(
    kibana: Kibana, server: KibanaStandIn, kind: str, object_id: str, content: dict[str, object]
) -> None:
    server.objects.put(kind, object_id, "default", dict(content))
    with pytest.raises(OperatorError, match=f"{object_id} that inferlog did not create; nothing was changed"):
        provision_kibana(kibana, "default")
    assert server.writes == []
    assert server.objects.of(kind)[object_id] == content


def test_foreign_data_view_with_the_same_name_is_kept(kibana: Kibana, server: KibanaStandIn) -> None:
    theirs = {"title": "other-*", "name": "inferlog events", "fieldAttrs": {}}
    server.objects.put("data_view", "0b7c", "default", dict(theirs))
    with pytest.raises(OperatorError, match=r"inferlog-events\.json: Kibana rejected.*Duplicate data view"):
        provision_kibana(kibana, "default")
    assert server.objects.of("data_view")["0b7c"] == theirs


@pytest.mark.parametrize(
    ("kind", "object_id"),
    [
        ("data_view", "inferlog-events"),
        ("dashboard", "inferlog-overview"),
        ("connector", "inferlog-alerts"),
        ("rule", "inferlog-error-rate"),
    ],
)
def test_id_of_another_space_is_reported(kibana: Kibana, server: KibanaStandIn, kind: str, object_id: str) -> None:
    server.objects.put(kind, object_id, "elsewhere", {"title": "x"})
    with pytest.raises(OperatorError, match=f"{object_id} .*; another space of this Kibana has .*another --namespace"):
        provision_kibana(kibana, "default")
    assert server.objects.of(kind, "elsewhere")[object_id] == {"title": "x"}


def test_rule_created_by_a_parallel_run_is_updated(kibana: Kibana, server: KibanaStandIn) -> None:
    provision_kibana(kibana, "default")
    theirs = dict(server.objects.of("rule")["inferlog-error-rate"])
    older = {**theirs, "name": "older", "tags": ["[inferlog dashboards/rules/error_rate.json 000000000000]"]}
    del server.objects.stored["rule", "inferlog-error-rate"]

    def other_run(call: str) -> None:
        if call == "POST /api/alerting/rule/inferlog-error-rate":
            server.objects.put("rule", "inferlog-error-rate", "default", older)

    server.before_write = other_run
    assert _names(provision_kibana(kibana, "default"), ProvisionOutcome.UPDATED) == {"inferlog-error-rate"}
    assert server.objects.of("rule")["inferlog-error-rate"]["name"] == theirs["name"]
