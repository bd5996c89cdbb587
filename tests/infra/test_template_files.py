"""The files fit together, also those that only a whole cluster gets and the embedded engine cannot check."""

from pathlib import Path
from typing import Any

import orjson

from inferlog_ops.core.assets import find_asset_dir

FOLDER = find_asset_dir("infra/elasticsearch")
STREAMS = ["events", "app", "health", "content"]


def _load(kind: str) -> dict[str, Any]:
    return {path.stem: orjson.loads(path.read_bytes()) for path in sorted((FOLDER / kind).glob("*.json"))}


def _load_components() -> dict[str, Any]:
    return {name: body["template"] for name, body in _load("component_templates").items()}


def test_each_stream_has_a_data_stream_template_that_beats_the_built_in_one() -> None:
    templates = _load("index_templates")
    patterns = {f"inferlog-{stream}": f"logs-inference.{stream}-*" for stream in STREAMS}
    patterns |= {"inferlog-alerts": "inferlog-alerts-*", "inferlog-summaries": "inferlog-summaries-*"}
    assert sorted(templates) == sorted(patterns)
    for name, pattern in patterns.items():
        template = templates[name]
        assert template["index_patterns"] == [pattern]
        assert template["priority"] == 500
        assert template["data_stream"] == {}


def test_templates_are_composed_of_components_that_exist_and_none_is_left_over() -> None:
    composed = {name for template in _load("index_templates").values() for name in template["composed_of"]}
    assert composed == set(_load_components())


def test_components_of_one_deployment_are_optional() -> None:
    for template in _load("index_templates").values():
        either = [name for name in template["composed_of"] if name.endswith(("-embedded", "-cluster"))]
        assert template["ignore_missing_component_templates"] == either


def test_codec_is_set_for_the_embedded_engine_only() -> None:
    with_codec = [
        name for name, body in _load_components().items() if "codec" in body.get("settings", {}).get("index", {})
    ]
    assert with_codec == ["inferlog-embedded"]


def test_cluster_gets_a_pipeline_that_exists_retention_and_a_failure_store() -> None:
    body = _load_components()["inferlog-cluster"]
    assert body["settings"]["index"]["final_pipeline"] in _load("pipelines")
    assert body["lifecycle"]["data_retention"] == "30d"
    failure_store = body["data_stream_options"]["failure_store"]
    assert failure_store == {"enabled": True, "lifecycle": {"data_retention": "30d"}}


def test_summaries_have_a_retention_of_their_own_and_reject_wrong_documents_openly() -> None:
    """A failure store would accept them, and a pipeline would make stored summaries differ from computed ones."""
    assert _load_components()["inferlog-summaries-cluster"] == {"lifecycle": {"data_retention": "400d"}}


def test_cluster_knows_the_dataset_of_each_stream_as_a_constant() -> None:
    for stream in STREAMS:
        mappings = _load_components()[f"inferlog-{stream}-dataset-cluster"]["mappings"]
        dataset = mappings["properties"]["event"]["properties"]["dataset"]
        assert dataset == {"type": "constant_keyword", "value": f"inference.{stream}"}


def test_pipeline_overwrites_the_time_of_ingestion() -> None:
    (pipeline,) = _load("pipelines").values()
    expand, put = pipeline["processors"]
    assert expand["dot_expander"]["field"] == put["set"]["field"] == "event.ingested"
    assert put["set"]["value"] == "{{{_ingest.timestamp}}}"
    assert put["set"].get("override", True)
    assert expand["dot_expander"]["ignore_failure"]
    assert put["set"]["ignore_failure"]


def test_object_names_are_safe_beside_the_names_elastic_reserves() -> None:
    names = [path.stem for kind in FOLDER.iterdir() if kind.is_dir() for path in Path(kind).glob("*.json")]
    assert names
    # A role's name is written as Elasticsearch writes those of its own.
    assert all(name.startswith(("inferlog-", "inferlog_")) and "@" not in name for name in names)
