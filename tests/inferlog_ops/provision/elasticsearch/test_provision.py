"""Provisioning of the real engine: repeatable, adds fields, and never changes foreign objects."""

import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from uuid import uuid4

import orjson
import pytest
from elasticsearch import Elasticsearch

from inferlog_ops.core.assets import find_asset_dir
from inferlog_ops.core.cluster import Cluster
from inferlog_ops.core.errors import OperatorError
from inferlog_ops.provision.desired import Stamp, require
from inferlog_ops.provision.elasticsearch import ProvisionedObject, ProvisionOutcome, definitions, provision_cluster
from inferlog_ops.provision.elasticsearch.definitions import COMPONENT_TEMPLATE, INDEX_TEMPLATE, Definition, Kind
from inferlog_ops.provision.elasticsearch.server import Deployment, ElasticsearchServer, detect_deployment

EVENTS_MAPPINGS = "component_templates/inferlog-events-mappings.json"
NEW_FIELD = "a_field_that_no_file_has"


@pytest.fixture
def client(cluster: Cluster) -> Iterator[Elasticsearch]:
    with cluster.build_client() as client:
        yield client


@pytest.fixture
def edited_files(
    cluster: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> Iterator[Path]:
    """A copy of the files that provisioning reads from now on; afterwards the engine has the originals again."""
    assert request.node.get_closest_marker("alone"), "templates are the whole engine's: another test would get these"
    copy = tmp_path / "elasticsearch"
    shutil.copytree(find_asset_dir("infra/elasticsearch"), copy)
    with monkeypatch.context() as patch:
        patch.setattr(definitions, "find_asset_dir", lambda _: copy)
        yield copy
    provision_cluster(Cluster(url=cluster.url, namespace=f"{cluster.namespace}r"))


def _set_field(file: Path, name: str, mapping: dict[str, Any]) -> None:
    body = orjson.loads(file.read_bytes())
    body["template"]["mappings"]["properties"][name] = mapping
    file.write_bytes(orjson.dumps(body))


def _read_mappings(client: Elasticsearch, stream: str, name: str) -> list[dict[str, Any] | None]:
    """Return what each backing index knows of a field."""
    indices = client.indices.get_mapping(index=stream).body.values()
    return [index["mappings"]["properties"].get(name) for index in indices]


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


@pytest.mark.alone
def test_new_field_reaches_every_index_of_an_existing_stream(
    cluster: Cluster, client: Elasticsearch, edited_files: Path
) -> None:
    provision_cluster(cluster)
    stream = f"logs-inference.events-{cluster.namespace}"
    client.indices.rollover(alias=stream)
    assert _read_mappings(client, stream, NEW_FIELD) == [None, None]
    _set_field(edited_files / EVENTS_MAPPINGS, NEW_FIELD, {"type": "long"})
    outcomes = _collect_outcomes(provision_cluster(cluster))
    assert _read_mappings(client, stream, NEW_FIELD) == [{"type": "long"}] * 2
    assert {name for name, outcome in outcomes.items() if outcome is ProvisionOutcome.UPDATED} == {
        "inferlog-events-mappings",
        "inferlog-events",
        stream,
    }
    assert set(_collect_outcomes(provision_cluster(cluster)).values()) == {ProvisionOutcome.UNCHANGED}


@pytest.mark.alone
def test_changed_field_type_is_rejected_with_file_and_reason(cluster: Cluster, edited_files: Path) -> None:
    provision_cluster(cluster)
    _set_field(edited_files / EVENTS_MAPPINGS, "latency_seconds", {"type": "keyword"})
    with pytest.raises(OperatorError, match=r"inferlog-events\.json.*latency_seconds.*double.*keyword"):
        provision_cluster(cluster)


@pytest.mark.alone
def test_unknown_mapping_is_rejected_with_its_file(cluster: Cluster, edited_files: Path) -> None:
    _set_field(edited_files / EVENTS_MAPPINGS, NEW_FIELD, {"type": "biginteger"})
    with pytest.raises(OperatorError, match=r"inferlog-events-mappings\.json.*rejected.*400.*biginteger"):
        provision_cluster(cluster)


@pytest.mark.alone
@pytest.mark.parametrize("content", ["{", "[]", ""])
def test_invalid_json_file_is_reported(cluster: Cluster, edited_files: Path, content: str) -> None:
    (edited_files / EVENTS_MAPPINGS).write_text(content)
    with pytest.raises(OperatorError, match=r"inferlog-events-mappings\.json is not (valid JSON|a JSON object)"):
        provision_cluster(cluster)


@pytest.mark.alone
def test_template_with_a_missing_component_is_an_error(cluster: Cluster, edited_files: Path) -> None:
    (edited_files / EVENTS_MAPPINGS).unlink()
    with pytest.raises(OperatorError, match=r"inferlog-events\.json is composed of inferlog-events-mappings"):
        provision_cluster(cluster)


@pytest.mark.alone
def test_empty_folder_is_an_error(cluster: Cluster, edited_files: Path) -> None:
    for file in (edited_files / "component_templates").iterdir():
        file.unlink()
    with pytest.raises(OperatorError, match="component_templates contains no file"):
        provision_cluster(cluster)


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
