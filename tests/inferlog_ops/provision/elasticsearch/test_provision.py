"""Provisioning the real engine: safe to repeat, adds fields, and leaves alone what is not ours."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import orjson
import pytest
from elasticsearch import Elasticsearch

from inferlog_ops.core.assets import asset_dir
from inferlog_ops.core.cluster import Cluster
from inferlog_ops.core.errors import OperatorError
from inferlog_ops.provision.elasticsearch import Outcome, Provisioned, definitions, provision_cluster
from inferlog_ops.provision.elasticsearch.definitions import COMPONENT_TEMPLATE, INDEX_TEMPLATE, Definition, Kind
from inferlog_ops.provision.elasticsearch.objects import ensure_object
from inferlog_ops.provision.elasticsearch.store import Store, detect_store

EVENTS_MAPPINGS = "component_templates/inferlog-events-mappings.json"
NEW_FIELD = "a_field_that_no_file_has"


@pytest.fixture
def client(cluster: Cluster) -> Iterator[Elasticsearch]:
    with cluster.client() as client:
        yield client


@pytest.fixture
def edited_files(
    cluster: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> Iterator[Path]:
    """A copy of the files that provisioning reads from now on; afterwards the engine has the originals again."""
    assert request.node.get_closest_marker("alone"), "templates are the whole engine's: another test would get these"
    copy = tmp_path / "elasticsearch"
    shutil.copytree(asset_dir("infra/elasticsearch"), copy)
    with monkeypatch.context() as patch:
        patch.setattr(definitions, "asset_dir", lambda _: copy)
        yield copy
    provision_cluster(Cluster(url=cluster.url, namespace=f"{cluster.namespace}r"))


def _set_field(file: Path, name: str, mapping: dict[str, Any]) -> None:
    body = orjson.loads(file.read_bytes())
    body["template"]["mappings"]["properties"][name] = mapping
    file.write_bytes(orjson.dumps(body))


def _mappings_of(client: Elasticsearch, stream: str, name: str) -> list[dict[str, Any] | None]:
    """Return what each backing index knows of a field."""
    indices = client.indices.get_mapping(index=stream).body.values()
    return [index["mappings"]["properties"].get(name) for index in indices]


def _outcomes(provisioned: list[Provisioned]) -> dict[str, Outcome]:
    return {each.name: each.outcome for each in provisioned}


def _made_up(kind: Kind, body: dict[str, Any], *, sha256: str = "1") -> Definition:
    stamp = {"managed_by": "inferlog", "source": "infra/elasticsearch/made_up.json", "sha256": sha256}
    return Definition(
        kind=kind,
        name=f"made-up-{uuid4().hex}",
        source=stamp["source"],
        stamp=stamp,
        body={**body, "_meta": stamp},
    )


def test_second_run_finds_everything_unchanged(cluster: Cluster) -> None:
    first = provision_cluster(cluster)
    second = provision_cluster(cluster)
    streams = {f"logs-inference.{stream}-{cluster.namespace}" for stream in ("events", "app", "health", "content")}
    streams.add(f"inferlog-alerts-{cluster.namespace}")
    assert {each.name for each in first if each.kind == "data stream"} == streams
    assert {each.outcome for each in first if each.kind == "data stream"} == {Outcome.CREATED}
    assert {each.outcome for each in second} == {Outcome.UNCHANGED}
    assert [each.name for each in first] == [each.name for each in second]


def test_two_namespaces_live_side_by_side(cluster: Cluster) -> None:
    provision_cluster(cluster)
    other = Cluster(url=cluster.url, namespace=f"{cluster.namespace}.b_2")
    outcomes = _outcomes(provision_cluster(other))
    assert outcomes[f"logs-inference.events-{other.namespace}"] is Outcome.CREATED
    assert outcomes["inferlog-events"] is Outcome.UNCHANGED


@pytest.mark.alone
def test_new_field_reaches_the_stream_that_exists_also_behind_a_rollover(
    cluster: Cluster, client: Elasticsearch, edited_files: Path
) -> None:
    provision_cluster(cluster)
    stream = f"logs-inference.events-{cluster.namespace}"
    client.indices.rollover(alias=stream)
    assert _mappings_of(client, stream, NEW_FIELD) == [None, None]
    _set_field(edited_files / EVENTS_MAPPINGS, NEW_FIELD, {"type": "long"})
    outcomes = _outcomes(provision_cluster(cluster))
    assert _mappings_of(client, stream, NEW_FIELD) == [{"type": "long"}] * 2
    assert {name for name, outcome in outcomes.items() if outcome is Outcome.UPDATED} == {
        "inferlog-events-mappings",
        "inferlog-events",
        stream,
    }
    assert set(_outcomes(provision_cluster(cluster)).values()) == {Outcome.UNCHANGED}


@pytest.mark.alone
def test_field_that_changes_its_type_is_refused_with_file_and_reason(cluster: Cluster, edited_files: Path) -> None:
    provision_cluster(cluster)
    _set_field(edited_files / EVENTS_MAPPINGS, "latency_seconds", {"type": "keyword"})
    with pytest.raises(OperatorError, match=r"inferlog-events\.json.*latency_seconds.*double.*keyword"):
        provision_cluster(cluster)


@pytest.mark.alone
def test_mapping_that_elasticsearch_does_not_know_is_refused_with_its_file(
    cluster: Cluster, edited_files: Path
) -> None:
    _set_field(edited_files / EVENTS_MAPPINGS, NEW_FIELD, {"type": "biginteger"})
    with pytest.raises(OperatorError, match=r"inferlog-events-mappings\.json.*refused.*400.*biginteger"):
        provision_cluster(cluster)


@pytest.mark.alone
@pytest.mark.parametrize("content", ["{", "[]", ""])
def test_file_that_is_no_json_object_is_named(cluster: Cluster, edited_files: Path, content: str) -> None:
    (edited_files / EVENTS_MAPPINGS).write_text(content)
    with pytest.raises(OperatorError, match=r"inferlog-events-mappings\.json (is no JSON|holds no JSON object)"):
        provision_cluster(cluster)


@pytest.mark.alone
def test_template_composed_of_a_file_that_is_not_there_is_an_error(cluster: Cluster, edited_files: Path) -> None:
    (edited_files / EVENTS_MAPPINGS).unlink()
    with pytest.raises(OperatorError, match=r"inferlog-events\.json is composed of inferlog-events-mappings"):
        provision_cluster(cluster)


@pytest.mark.alone
def test_empty_folder_is_an_error(cluster: Cluster, edited_files: Path) -> None:
    for file in (edited_files / "component_templates").iterdir():
        file.unlink()
    with pytest.raises(OperatorError, match="component_templates holds no file"):
        provision_cluster(cluster)


def test_object_is_created_then_unchanged_then_updated_by_its_stamp(client: Elasticsearch) -> None:
    first = _made_up(COMPONENT_TEMPLATE, {"template": {"settings": {"number_of_shards": 1}}})
    changed = Definition(
        kind=first.kind,
        name=first.name,
        source=first.source,
        stamp={**first.stamp, "sha256": "2"},
        body={**first.body, "_meta": {**first.stamp, "sha256": "2"}},
    )
    outcomes = [ensure_object(client, each).outcome for each in (first, first, changed, changed)]
    assert outcomes == [Outcome.CREATED, Outcome.UNCHANGED, Outcome.UPDATED, Outcome.UNCHANGED]


@pytest.mark.parametrize("meta", [None, {}, {"managed_by": "somebody"}])
def test_object_of_another_hand_is_left_alone(client: Elasticsearch, meta: dict[str, str] | None) -> None:
    ours = _made_up(COMPONENT_TEMPLATE, {"template": {}})
    client.cluster.put_component_template(name=ours.name, template={"settings": {"number_of_shards": 2}}, meta=meta)
    with pytest.raises(OperatorError, match="that inferlog did not make"):
        ensure_object(client, ours)
    kept = client.cluster.get_component_template(name=ours.name, flat_settings=True)["component_templates"][0]
    assert kept["component_template"]["template"]["settings"] == {"index.number_of_shards": "2"}


def test_index_template_is_told_from_another_of_a_longer_name(client: Elasticsearch) -> None:
    ours = _made_up(INDEX_TEMPLATE, {"index_patterns": [f"nothing-{uuid4().hex}"]})
    assert ensure_object(client, ours).outcome is Outcome.CREATED
    assert ensure_object(client, ours).outcome is Outcome.UNCHANGED


def test_stream_of_another_hand_is_left_alone(cluster: Cluster, client: Elasticsearch) -> None:
    provision_cluster(cluster)
    stream = f"logs-inference.app-{cluster.namespace}"
    client.indices.put_mapping(index=stream, meta={"managed_by": "somebody"})
    with pytest.raises(OperatorError, match="was not made by inferlog's templates"):
        provision_cluster(cluster)


def test_engine_without_ingest_processors_is_the_embedded_one(client: Elasticsearch) -> None:
    assert detect_store(client) is Store.EMBEDDED


def test_embedded_engine_gets_its_own_component_and_nothing_of_the_clusters(cluster: Cluster) -> None:
    names = {each.name for each in provision_cluster(cluster)}
    assert "inferlog-embedded" in names
    assert not [name for name in names if name.endswith("-cluster")]
