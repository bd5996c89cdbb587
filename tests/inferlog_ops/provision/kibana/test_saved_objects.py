"""Import of dashboards and saved queries: a rejected one affects nothing else."""

import json
from dataclasses import replace

from inferlog_ops.provision.desired import ProvisionOutcome
from inferlog_ops.provision.kibana.address import Kibana
from inferlog_ops.provision.kibana.client import KibanaClient
from inferlog_ops.provision.kibana.provision import provision_kibana
from inferlog_ops.provision.kibana.saved_objects import MarkedObject, SavedObject, ensure_objects, mark_object
from inferlog_ops.query.library import fill_namespace, load_all
from tests.support.kibana_objects import refuse
from tests.support.kibana_stand_in import KibanaStandIn


def _build_object(name: str, **changes: object) -> MarkedObject:
    content = SavedObject(
        type="search", id=name, attributes={"title": name}, references=(), type_migration_version="7.9.3"
    )
    return mark_object("saved query", f"{name}.esql", replace(content, **changes))  # type: ignore[arg-type]


def _ensure(kibana: Kibana, *objects: MarkedObject) -> list[tuple[str, ProvisionOutcome]]:
    with KibanaClient(kibana) as client:
        return [(each.name, each.outcome) for each in ensure_objects(client, objects)]


def test_saved_query_asks_what_its_file_asks(kibana: Kibana, server: KibanaStandIn) -> None:
    provision_kibana(kibana, "default")
    query = load_all()["p99_latency"]
    attributes = server.objects.find_contents("search")["inferlog-query-p99_latency"]["attributes"]
    source = json.loads(attributes["kibanaSavedObjectMeta"]["searchSourceJSON"])
    assert attributes["title"] == query.question
    assert source["query"] == {"esql": fill_namespace(query, "default")}
    assert source["index"]["title"] == "logs-inference.events-default"


def test_objects_are_created_then_unchanged_then_updated(kibana: Kibana, server: KibanaStandIn) -> None:
    first, second = _build_object("a"), _build_object("b")
    changed = _build_object("b", attributes={"title": "other"})
    outcomes = [_ensure(kibana, first, each) for each in (second, second, changed)]
    assert [[outcome.value for _, outcome in run] for run in outcomes] == [
        ["created", "created"],
        ["unchanged", "unchanged"],
        ["unchanged", "updated"],
    ]
    assert server.writes == ["POST /api/saved_objects/_import"] * 2


def test_object_of_a_newer_version_is_refused_alone_although_kibana_refuses_the_whole_file(
    kibana: Kibana, server: KibanaStandIn
) -> None:
    done = _ensure(kibana, _build_object("a"), _build_object("b", type_migration_version="10.6.0"), _build_object("c"))
    assert [outcome.value for _, outcome in done] == ["created", "refused", "created"]
    assert set(server.objects.find_contents("search")) == {"a", "c"}


def test_object_with_a_missing_reference_is_refused_alone(kibana: Kibana, server: KibanaStandIn) -> None:
    missing = ({"type": "index-pattern", "id": "none", "name": "x"},)
    with KibanaClient(kibana) as client:
        done = ensure_objects(client, [_build_object("a"), _build_object("b", references=missing)])
    assert [each.outcome.value for each in done] == ["created", "refused"]
    assert "(index-pattern none)" in str(done[1].reason)
    assert set(server.objects.find_contents("search")) == {"a"}


def test_dashboard_is_created_after_its_saved_query_when_kibana_refuses_the_whole_file(
    kibana: Kibana, server: KibanaStandIn
) -> None:
    shown = ({"type": "search", "id": "a", "name": "x"},)
    dashboard = _build_object("d", type="dashboard", references=shown, type_migration_version="8.9.0")
    done = _ensure(kibana, dashboard, _build_object("a"), _build_object("b", type_migration_version="10.6.0"))
    assert [outcome.value for _, outcome in done] == ["created", "created", "refused"]


def test_missing_privilege_refuses_all_with_one_import(kibana: Kibana, server: KibanaStandIn) -> None:
    server.answers["/api/saved_objects/_import"] = refuse(403, "not allowed")
    with KibanaClient(kibana) as client:
        done = ensure_objects(client, [_build_object("a"), _build_object("b")])
    assert ["not allowed" in str(each.reason) for each in done] == [True, True]
    assert server.writes == ["POST /api/saved_objects/_import"]


def test_objects_that_cannot_be_read_are_not_overwritten(kibana: Kibana, server: KibanaStandIn) -> None:
    server.answers["/api/saved_objects/_export"] = refuse(403, "not allowed")
    assert {outcome for _, outcome in _ensure(kibana, _build_object("a"), _build_object("b"))} == {
        ProvisionOutcome.REFUSED
    }
    assert server.writes == []
