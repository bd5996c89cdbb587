"""Provisioning of the real engine: repeatable, adds fields, and never changes foreign objects."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any
from uuid import uuid4

import pytest
from elasticsearch import Elasticsearch

from inferlog_ops.core.cluster import Cluster
from inferlog_ops.core.errors import OperatorError
from inferlog_ops.provision.desired import Stamp, require
from inferlog_ops.provision.elasticsearch import ProvisionedObject, ProvisionOutcome, provision_cluster
from inferlog_ops.provision.elasticsearch.definitions import COMPONENT_TEMPLATE, INDEX_TEMPLATE, Definition, Kind
from inferlog_ops.provision.elasticsearch.server import Deployment, ElasticsearchServer, detect_deployment


@pytest.fixture
def client(cluster: Cluster) -> Iterator[Elasticsearch]:
    with cluster.build_client() as client:
        yield client


def _collect_outcomes(provisioned: list[ProvisionedObject]) -> dict[str, ProvisionOutcome]:
    return {each.name: each.outcome for each in provisioned}


def _make_definition(kind: Kind, body: dict[str, Any], *, sha256: str = "1") -> Definition:
    stamp = Stamp(source="infra/elasticsearch/made_up.json", sha256=sha256)
    return Definition(kind=kind, name=f"made-up-{uuid4().hex}", stamp=stamp, body={**body, "_meta": stamp.to_json()})


def _ensure(client: Elasticsearch, definition: Definition) -> ProvisionOutcome:
    return require(ElasticsearchServer(client), definition.to_desired()).outcome


def test_second_run_finds_everything_unchanged(cluster: Cluster) -> None:
    first = provision_cluster(cluster)
    second = provision_cluster(cluster)
    streams = {f"logs-inference.{stream}-{cluster.namespace}" for stream in ("events", "app", "health", "content")}
    streams |= {f"inferlog-alerts-{cluster.namespace}", f"inferlog-summaries-{cluster.namespace}"}
    assert {each.name for each in first if each.kind == "data stream"} == streams
    assert {each.outcome for each in first if each.kind == "data stream"} == {ProvisionOutcome.CREATED}
    assert {each.outcome for each in second} == {ProvisionOutcome.UNCHANGED}
    assert [each.name for each in first] == [each.name for each in second]


def test_two_namespaces_are_independent(cluster: Cluster) -> None:
    provision_cluster(cluster)
    other = Cluster(url=cluster.url, namespace=f"{cluster.namespace}.b_2")
    outcomes = _collect_outcomes(provision_cluster(other))
    assert outcomes[f"logs-inference.events-{other.namespace}"] is ProvisionOutcome.CREATED
    assert outcomes["inferlog-events"] is ProvisionOutcome.UNCHANGED


def test_object_is_created_then_unchanged_then_updated_by_its_stamp(client: Elasticsearch) -> None:
    first = _make_definition(COMPONENT_TEMPLATE, {"template": {"settings": {"number_of_shards": 1}}})
    stamp = replace(first.stamp, sha256="2")
    changed = replace(first, stamp=stamp, body={**first.body, "_meta": stamp.to_json()})
    outcomes = [_ensure(client, each) for each in (first, first, changed, changed)]
    assert outcomes == [
        ProvisionOutcome.CREATED,
        ProvisionOutcome.UNCHANGED,
        ProvisionOutcome.UPDATED,
        ProvisionOutcome.UNCHANGED,
    ]


@pytest.mark.parametrize("meta", [None, {}, {"managed_by": "somebody"}])
def test_foreign_object_is_not_overwritten(client: Elasticsearch, meta: dict[str, str] | None) -> None:
    ours = _make_definition(COMPONENT_TEMPLATE, {"template": {}})
    client.cluster.put_component_template(name=ours.name, template={"settings": {"number_of_shards": 2}}, meta=meta)
    with pytest.raises(OperatorError, match="that inferlog did not create"):
        _ensure(client, ours)
    kept = client.cluster.get_component_template(name=ours.name, flat_settings=True)["component_templates"][0]
    assert kept["component_template"]["template"]["settings"] == {"index.number_of_shards": "2"}


def test_index_template_is_not_confused_with_a_longer_name(client: Elasticsearch) -> None:
    ours = _make_definition(INDEX_TEMPLATE, {"index_patterns": [f"nothing-{uuid4().hex}"]})
    assert _ensure(client, ours) is ProvisionOutcome.CREATED
    assert _ensure(client, ours) is ProvisionOutcome.UNCHANGED


def test_foreign_stream_is_not_changed(cluster: Cluster, client: Elasticsearch) -> None:
    provision_cluster(cluster)
    stream = f"logs-inference.app-{cluster.namespace}"
    client.indices.put_mapping(index=stream, meta={"managed_by": "somebody"})
    with pytest.raises(OperatorError, match="that inferlog did not create; its fields have other types"):
        provision_cluster(cluster)


def test_deployment_without_ingest_processors_is_embedded(client: Elasticsearch) -> None:
    assert detect_deployment(client) is Deployment.EMBEDDED


def test_embedded_engine_gets_its_own_component_and_nothing_of_the_clusters(cluster: Cluster) -> None:
    names = {each.name for each in provision_cluster(cluster)}
    assert "inferlog-embedded" in names
    assert not [name for name in names if name.endswith("-cluster")]
