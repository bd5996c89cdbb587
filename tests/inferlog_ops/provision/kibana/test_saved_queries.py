"""Import of saved queries: separate, so that a rejected one affects nothing else."""

import json

from inferlog_ops.provision.elasticsearch import ProvisionedObject, ProvisionOutcome
from inferlog_ops.provision.kibana.address import Kibana
from inferlog_ops.provision.kibana.provision import provision_kibana
from inferlog_ops.query.library import load_all, text_for
from tests.support.kibana_objects import refusal
from tests.support.kibana_stand_in import KibanaStandIn

P99 = "inferlog-query-p99_latency"


def _saved(provisioned: list[ProvisionedObject]) -> dict[str, ProvisionedObject]:
    return {each.name: each for each in provisioned if each.kind == "saved query"}


def _others(provisioned: list[ProvisionedObject]) -> set[ProvisionOutcome]:
    return {each.outcome for each in provisioned if each.kind != "saved query"}


def test_saved_query_asks_what_its_file_asks(kibana: Kibana, server: KibanaStandIn) -> None:
    provision_kibana(kibana, "default")
    query = load_all()["p99_latency"]
    attributes = server.objects.of("search")[P99]["attributes"]
    source = json.loads(attributes["tabs"][0]["attributes"]["kibanaSavedObjectMeta"]["searchSourceJSON"])
    assert attributes["title"] == query.question
    assert source["query"] == {"esql": text_for(query, "default")}
    assert source["index"]["title"] == "logs-inference.events-default"


def test_saved_query_of_another_hand_is_left_alone_and_the_others_go_in(kibana: Kibana, server: KibanaStandIn) -> None:
    theirs = {"id": P99, "type": "search", "attributes": {"title": "Mine", "description": ""}}
    server.objects.put("search", P99, "default", theirs)
    provisioned = provision_kibana(kibana, "default")
    saved = _saved(provisioned)
    assert "inferlog did not create" in str(saved.pop(P99).reason)
    assert {each.outcome for each in saved.values()} == _others(provisioned) == {ProvisionOutcome.CREATED}
    assert server.objects.of("search")[P99] is theirs


def test_saved_query_that_kibana_does_not_take_is_told_of_alone(kibana: Kibana, server: KibanaStandIn) -> None:
    server.import_fault = lambda object_id: "no such shape" if object_id == P99 else None
    provisioned = provision_kibana(kibana, "default")
    saved = _saved(provisioned)
    assert saved[P99].outcome is ProvisionOutcome.REFUSED
    assert "no such shape" in str(saved.pop(P99).reason)
    assert {each.outcome for each in saved.values()} == _others(provisioned) == {ProvisionOutcome.CREATED}


def test_import_that_is_refused_whole_costs_the_saved_queries_only(kibana: Kibana, server: KibanaStandIn) -> None:
    server.answers["/api/saved_objects/_import"] = refusal(400, "this is no import")
    provisioned = provision_kibana(kibana, "default")
    assert _others(provisioned) == {ProvisionOutcome.CREATED}
    assert {each.outcome for each in _saved(provisioned).values()} == {ProvisionOutcome.REFUSED}
    assert {"this is no import" in str(each.reason) for each in _saved(provisioned).values()} == {True}


def test_right_to_import_that_is_missing_costs_the_saved_queries_only(kibana: Kibana, server: KibanaStandIn) -> None:
    server.forbidden = ("/api/saved_objects",)
    provisioned = provision_kibana(kibana, "default")
    assert _others(provisioned) == {ProvisionOutcome.CREATED}
    assert {each.outcome for each in _saved(provisioned).values()} == {ProvisionOutcome.REFUSED}


def test_saved_query_that_went_under_another_id_is_told_of(kibana: Kibana, server: KibanaStandIn) -> None:
    server.objects.put("search", P99, "elsewhere", {"id": P99, "attributes": {}})
    saved = _saved(provision_kibana(kibana, "default"))
    assert saved[P99].outcome is ProvisionOutcome.REFUSED
    assert "another space has a saved search" in str(saved[P99].reason)
