"""Provisioning with edited files of templates: new fields reach existing streams, wrong files are named."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest
from elasticsearch import Elasticsearch

from inferlog_ops.core.assets import find_asset_dir
from inferlog_ops.core.cluster import Cluster
from inferlog_ops.core.errors import OperatorError
from inferlog_ops.provision.elasticsearch import ProvisionOutcome, definitions, provision_cluster
from tests.support.own_engine import OwnEngine

EVENTS_MAPPINGS = "component_templates/inferlog-events-mappings.json"
NEW_FIELD = "a_field_that_no_file_has"


@pytest.fixture(scope="module")
def own_engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OwnEngine]:
    """An engine of these tests: templates are the whole engine's, and another test would get these."""
    engine = OwnEngine(tmp_path_factory.mktemp("edited") / "home")
    engine.start()
    yield engine
    engine.stop()


@pytest.fixture
def cluster(own_engine: OwnEngine, namespace: str) -> Cluster:
    return Cluster(url=own_engine.url, namespace=namespace)


@pytest.fixture
def client(cluster: Cluster) -> Iterator[Elasticsearch]:
    with cluster.build_client() as client:
        yield client


@pytest.fixture
def edited_files(cluster: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A copy of the files that provisioning reads from now on; afterwards the engine has the originals again."""
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


def test_new_field_reaches_every_index_of_an_existing_stream(
    cluster: Cluster, client: Elasticsearch, edited_files: Path
) -> None:
    provision_cluster(cluster)
    stream = f"logs-inference.events-{cluster.namespace}"
    client.indices.rollover(alias=stream)
    assert _read_mappings(client, stream, NEW_FIELD) == [None, None]
    _set_field(edited_files / EVENTS_MAPPINGS, NEW_FIELD, {"type": "long"})
    outcomes = {each.name: each.outcome for each in provision_cluster(cluster)}
    assert _read_mappings(client, stream, NEW_FIELD) == [{"type": "long"}] * 2
    assert {name for name, outcome in outcomes.items() if outcome is ProvisionOutcome.UPDATED} == {
        "inferlog-events-mappings",
        "inferlog-events",
        stream,
    }
    assert {each.outcome for each in provision_cluster(cluster)} == {ProvisionOutcome.UNCHANGED}


def test_changed_field_type_is_rejected_with_file_and_reason(cluster: Cluster, edited_files: Path) -> None:
    provision_cluster(cluster)
    _set_field(edited_files / EVENTS_MAPPINGS, "latency_seconds", {"type": "keyword"})
    with pytest.raises(OperatorError, match=r"inferlog-events\.json.*latency_seconds.*double.*keyword"):
        provision_cluster(cluster)


def test_unknown_mapping_is_rejected_with_its_file(cluster: Cluster, edited_files: Path) -> None:
    _set_field(edited_files / EVENTS_MAPPINGS, NEW_FIELD, {"type": "biginteger"})
    with pytest.raises(OperatorError, match=r"inferlog-events-mappings\.json.*rejected.*400.*biginteger"):
        provision_cluster(cluster)


@pytest.mark.parametrize("content", ["{", "[]", ""])
def test_invalid_json_file_is_reported(cluster: Cluster, edited_files: Path, content: str) -> None:
    (edited_files / EVENTS_MAPPINGS).write_text(content)
    with pytest.raises(OperatorError, match=r"inferlog-events-mappings\.json is not (valid JSON|a JSON object)"):
        provision_cluster(cluster)


def test_template_with_a_missing_component_is_an_error(cluster: Cluster, edited_files: Path) -> None:
    (edited_files / EVENTS_MAPPINGS).unlink()
    with pytest.raises(OperatorError, match=r"inferlog-events\.json is composed of inferlog-events-mappings"):
        provision_cluster(cluster)


def test_empty_folder_is_an_error(cluster: Cluster, edited_files: Path) -> None:
    for file in (edited_files / "component_templates").iterdir():
        file.unlink()
    with pytest.raises(OperatorError, match="component_templates contains no file"):
        provision_cluster(cluster)
