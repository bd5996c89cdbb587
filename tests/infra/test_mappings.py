"""Mappings: type of every documented field, rejected values, and unchanged lines in _source."""

from collections.abc import Iterator
from copy import deepcopy
from typing import Any
from uuid import uuid4

import orjson
import pytest
import urllib3
from elasticsearch import BadRequestError, Elasticsearch

from inferlog_ops.core.cluster import Cluster
from inferlog_ops.core.streams import build_stream_name
from inferlog_ops.provision.elasticsearch import provision_cluster

NOT_INDEXED = "keyword, not indexed"
NOT_PARSED = "object, not parsed"

COMMON_FIELDS = {
    "@timestamp": "date_nanos",
    "event.id": "keyword",
    "event.dataset": "keyword",  # constant_keyword on a whole cluster; the embedded engine does not know it
    "event.ingested": "date_nanos",
    "service.name": "keyword",
    "service.version": "keyword",
    "service.environment": "keyword",
    "service.instance.id": "keyword",
    "request_id": "keyword",
    "correlation_id": "keyword",
    "trace.id": "keyword",
    "span.id": "keyword",
    "error.type": "keyword",
    "error.message": "text",
    "error.stack_trace": NOT_INDEXED,
    "labels": "flattened",
}
FIELDS = {
    "events": {
        **COMMON_FIELDS,
        "event.action": "keyword",
        "event.sequence": "long",
        "event.outcome": "keyword",
        "event.start": "date_nanos",
        "model_name": "keyword",
        "model_version": "keyword",
        "status": "keyword",
        "latency_seconds": "double",
        "time_to_first_token_seconds": "double",
        "queue_seconds": "double",
        "in_flight": "long",
        "batch_size": "long",
        "model_latency_seconds": "double",
        "cost_usd": "double",
        "gen_ai.usage.input_tokens": "long",
        "gen_ai.usage.output_tokens": "long",
        "gen_ai.operation.name": "keyword",
        "gen_ai.response.finish_reasons": "keyword",
        "http.route": "keyword",
        "http.request.method": "keyword",
        "http.response.status_code": "integer",
        "client.id": "keyword",
        "audit.prev": NOT_INDEXED,
        "audit.hash": NOT_INDEXED,
    },
    "app": {
        **COMMON_FIELDS,
        "log.level": "keyword",
        "log.logger": "keyword",
        "message": "text",
        "model_name": "keyword",
        "model_version": "keyword",
    },
    "health": {
        **COMMON_FIELDS,
        "log.level": "keyword",
        "log.logger": "keyword",
        "message": "text",
        "instance_started": "date_nanos",
        "events_written": "long",
        "events_dropped": "long",
        "events_removed": "long",
        "lines_dropped": "long",
        "events_unshipped_bytes": "long",
        "shipper.id": "keyword",
        "shipper.shipped": "long",
        "shipper.duplicates": "long",
        "shipper.refused": "long",
        "shipper.lost_bytes": "long",
        "shipper.retries": "long",
        "shipper.behind_events": "long",
        "shipper.behind_bytes": "long",
        "shipper.behind_seconds": "double",
        "shipper.clock_skew_seconds": "double",
        "shipper.waiting": "keyword",
        "fluentd.retry_count": "long",
        "fluentd.dead_letters": "long",
        "fluentd.queue_chunks": "long",
        "fluentd.queue_bytes": "long",
        "fluentd.oldest_seconds": "double",
        "fluentd.buffer_free_ratio": "double",
        "copies_dropped": "long",
        "active_requests": "long",
        "process.cpu.utilization": "double",
        "process.memory.usage_bytes": "long",
        "event_loop.lag_seconds": "double",
        "gpu.utilization": "double",
        "gpu.memory_usage_bytes": "long",
        "gauges.queue_requests": "double",
    },
    "content": {
        **COMMON_FIELDS,
        "model_name": "keyword",
        "model_version": "keyword",
        "gen_ai.input": NOT_PARSED,
        "gen_ai.output": NOT_PARSED,
    },
}

COMMON_LINE = {
    "@timestamp": "2026-11-23T06:15:00.100000Z",
    "event": {"id": "00000000000000000000000000000011", "dataset": "inference.events"},
    "service": {
        "name": "scoring",
        "version": "1.0.0",
        "environment": "development",
        "instance": {"id": "9f2c4b7d1e0a4c33"},
    },
    "request_id": "6f1b0c9d2e3f40516273849506a7b8c9",
    "correlation_id": "order-4711",
    "trace": {"id": "4bf92f3577b34da6a3ce929d0e0e4736"},
    "span": {"id": "00f067aa0ba902b7"},
    "error": {"type": "TimeoutError", "message": "the deadline passed", "stack_trace": 'File "a.py"\n  raise'},
    "labels": {"tenant": "acme", "canary": True, "shard": 7},
}
LINES: dict[str, dict[str, Any]] = {
    "events": {
        **COMMON_LINE,
        "event": {
            **COMMON_LINE["event"],  # type: ignore[dict-item]
            "sequence": 17,
            "action": "inference_failed",
            "outcome": "failure",
            "start": "2026-11-23T06:14:59.976544Z",
        },
        "model_name": "smollm2-135m-instruct",
        "model_version": "v1",
        "status": "error",
        "latency_seconds": 0.123456,
        "time_to_first_token_seconds": 0.05,
        "queue_seconds": 0.0,
        "in_flight": 3,
        "batch_size": 8,
        "model_latency_seconds": 1,
        "cost_usd": 0.000012,
        "gen_ai": {
            "operation": {"name": "chat"},
            "usage": {"input_tokens": 12, "output_tokens": 40},
            "response": {"finish_reasons": ["stop", "length"]},
        },
        "http": {
            "route": "/v1/chat/completions",
            "request": {"method": "POST"},
            "response": {"status_code": 504},
        },
        "client": {"id": "c0ffee"},
        "audit": {"prev": "00ff", "hash": "ff00"},
    },
    "app": {
        **COMMON_LINE,
        "log": {"level": "info", "logger": "scoring.model"},
        "message": "model.loaded",
        "model_name": "smollm2-135m-instruct",
        "model_version": "v1",
    },
    "health": {
        **COMMON_LINE,
        "log": {"level": "info", "logger": "inferlog"},
        "message": "heartbeat",
        "instance_started": "2026-11-23T06:15:00.123456Z",
        "events_written": 4000000000,
        "events_dropped": 0,
        "events_removed": 0,
        "lines_dropped": 0,
        "events_unshipped_bytes": 1,
        "shipper": {
            "id": "5b7c",
            "shipped": 5,
            "duplicates": 1,
            "refused": 0,
            "lost_bytes": 7,
            "retries": 3,
            "behind_events": 2,
            "behind_bytes": 900,
            "behind_seconds": 0.5,
            "clock_skew_seconds": -0.25,
            "waiting": ["events: answered 503: starting", "app: answered 503: starting"],
        },
        "fluentd": {"retry_count": 0, "queue_bytes": 10, "buffer_free_ratio": 0.99},
        "copies_dropped": 0,
        "active_requests": 2,
        "process": {"cpu": {"utilization": 0.5}, "memory": {"usage_bytes": 50_000_000}},
        "event_loop": {"lag_seconds": 0.001},
        "gpu": {"utilization": 0.9, "memory_usage_bytes": 8_000_000_000},
        "gauges": {"queue_requests": 3.0},
    },
    "content": {
        **COMMON_LINE,
        "model_name": "smollm2-135m-instruct",
        "model_version": "v1",
        "gen_ai": {"input": {"messages": [{"role": "user", "content": "hi"}]}, "output": "hello"},
    },
}
NUMBERS = [
    (stream, field)
    for stream, fields in FIELDS.items()
    for field, kind in fields.items()
    if kind in {"long", "integer", "double"}
]
WHOLE_NUMBERS = [(stream, field) for stream, field in NUMBERS if FIELDS[stream][field] != "double"]


@pytest.fixture(scope="module")
def shared(engine_url: str) -> Cluster:
    """Streams for the tests that look at the mapping or are refused, and so leave nothing behind."""
    cluster = Cluster(url=engine_url, namespace=f"t{uuid4().hex[:15]}")
    provision_cluster(cluster)
    return cluster


@pytest.fixture(scope="module")
def client(shared: Cluster) -> Iterator[Elasticsearch]:
    with shared.build_client() as client:
        yield client


def _stream(stream: str, cluster: Cluster) -> str:
    return build_stream_name(stream, cluster.namespace)


def _create(client: Elasticsearch, index: str, document: Any) -> None:
    client.create(index=index, id=document["event"]["id"], document=document, refresh=True)


def _list_mapped(properties: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    for name, mapping in properties.items():
        if "properties" in mapping:
            yield from _list_mapped(mapping["properties"], f"{prefix}{name}.")
        elif mapping.get("enabled") is False:
            yield f"{prefix}{name}", NOT_PARSED
        elif mapping.get("index") is False and mapping.get("doc_values") is False:
            yield f"{prefix}{name}", f"{mapping['type']}, not indexed"
        else:
            yield f"{prefix}{name}", mapping["type"]


def _list_leaves(value: Any, prefix: str = "") -> Iterator[tuple[str, Any]]:
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from _list_leaves(inner, f"{prefix}.{key}" if prefix else key)
    elif isinstance(value, list):
        for inner in value:
            yield from _list_leaves(inner, prefix)
    else:
        yield prefix, value


def _replace_value(document: dict[str, Any], field: str, value: Any) -> dict[str, Any]:
    changed = deepcopy(document)
    *parents, last = field.split(".")
    inner = changed
    for parent in parents:
        inner = inner[parent]
    inner[last] = value
    return changed


@pytest.mark.parametrize("stream", FIELDS)
def test_stream_maps_exactly_the_documented_fields(client: Elasticsearch, shared: Cluster, stream: str) -> None:
    (answer,) = client.indices.get_mapping(index=_stream(stream, shared)).values()
    assert dict(_list_mapped(answer["mappings"]["properties"])) == FIELDS[stream]
    assert answer["mappings"]["dynamic"] == "false"


@pytest.mark.parametrize("stream", FIELDS)
def test_every_value_of_a_full_line_is_found_by_searching_its_field(
    client: Elasticsearch, provisioned: Cluster, stream: str
) -> None:
    index = _stream(stream, provisioned)
    line = _replace_value(LINES[stream], "event.ingested", "2026-11-23T06:15:01.000001Z")
    _create(client, index, line)
    searchable = {
        (field, value)
        for field, value in _list_leaves(line)
        if FIELDS[stream].get(field) != NOT_INDEXED and not field.startswith(("gen_ai.input", "gen_ai.output"))
    }
    found = {
        (field, value)
        for field, value in searchable
        if client.count(index=index, query={"match": {field: value}})["count"] == 1
    }
    assert found == searchable
    assert {field.split(".")[0] for field, _ in searchable} >= {field.split(".")[0] for field in COMMON_FIELDS}


def test_golden_event_line_has_a_value_for_every_documented_field() -> None:
    described = {"labels" if name.startswith("labels.") else name for name, _ in _list_leaves(LINES["events"])}
    assert described | {"event.ingested"} == set(FIELDS["events"])


@pytest.mark.parametrize("field", ["error.stack_trace", "audit.prev", "audit.hash"])
def test_bulky_fields_are_kept_but_not_searchable(client: Elasticsearch, shared: Cluster, field: str) -> None:
    with pytest.raises(BadRequestError, match="not indexed"):
        client.count(index=_stream("events", shared), query={"match": {field: "x"}})


@pytest.mark.parametrize(("stream", "field"), NUMBERS)
@pytest.mark.parametrize("wrong", ["fast", "0.5", {"value": 1}])
def test_invalid_number_is_rejected(
    client: Elasticsearch, shared: Cluster, stream: str, field: str, wrong: Any
) -> None:
    with pytest.raises(BadRequestError, match="document_parsing_exception"):
        _create(client, _stream(stream, shared), _replace_value(LINES[stream], field, wrong))


@pytest.mark.parametrize(("stream", "field"), WHOLE_NUMBERS)
def test_fraction_in_a_count_is_rejected(client: Elasticsearch, shared: Cluster, stream: str, field: str) -> None:
    with pytest.raises(BadRequestError, match="document_parsing_exception"):
        _create(client, _stream(stream, shared), _replace_value(LINES[stream], field, 3.7))


@pytest.mark.parametrize("field", ["@timestamp", "event.ingested"])
@pytest.mark.parametrize("wrong", ["yesterday", "23.11.2026", 17, 1795414202813, ""])
def test_invalid_date_is_rejected(client: Elasticsearch, shared: Cluster, field: str, wrong: Any) -> None:
    with pytest.raises(BadRequestError, match="document_parsing_exception"):
        _create(client, _stream("events", shared), _replace_value(LINES["events"], field, wrong))


@pytest.mark.parametrize(
    ("stream", "field"),
    [("events", field) for field in ("error", "event", "service", "http", "labels", "gen_ai")]
    + [("app", field) for field in ("error", "event", "service", "labels")],
)
def test_text_instead_of_an_object_is_rejected(client: Elasticsearch, shared: Cluster, stream: str, field: str) -> None:
    line = {**LINES[stream], field: "boom"}
    with pytest.raises(BadRequestError, match="document_parsing_exception"):
        client.create(index=_stream(stream, shared), id="boom", document=line)


def test_line_comes_back_byte_for_byte(client: Elasticsearch, provisioned: Cluster) -> None:
    line = (
        b'{ "status":"success", "latency_seconds":1.0,"queue_seconds":0.100000, "unknown":{"b":1,"a":[2, 1]},'
        b'"@timestamp":"2026-11-23T06:15:00.100000Z","event":{"id":"e1","sequence":3},'
        b'"labels":{"z":"\\u00e9","a":null},"event.ingested":"2026-11-23T06:15:00.200000Z"}'
    )
    index = _stream("events", provisioned)
    body = b'{"create":{"_id":"e1"}}\n' + line + b"\n"
    with urllib3.PoolManager() as http:
        bulk = http.request(
            "POST",
            f"{provisioned.url}/{index}/_bulk?refresh=true&require_data_stream=true",
            body=body,
            headers={"content-type": "application/x-ndjson"},
        )
        assert orjson.loads(bulk.data)["items"][0]["create"]["status"] == 201
        found = http.request("GET", f"{provisioned.url}/{index}/_search")
    assert b'"_source":' + line in found.data


def test_ingestion_time_appended_as_a_dotted_key_is_the_same_field(client: Elasticsearch, provisioned: Cluster) -> None:
    index = _stream("events", provisioned)
    _create(client, index, {**LINES["events"], "event.ingested": "2026-11-23T06:15:00.200001Z"})
    query = {"range": {"event.ingested": {"gte": "2026-11-23T06:15:00.200001Z", "lt": "2026-11-23T06:15:00.200002Z"}}}
    assert client.count(index=index, query=query)["count"] == 1


def test_unknown_field_is_kept_and_adds_nothing_to_the_mapping(client: Elasticsearch, provisioned: Cluster) -> None:
    index = _stream("events", provisioned)
    _create(client, index, {**LINES["events"], "unheard_of": {"of": "field"}})
    (hit,) = client.search(index=index)["hits"]["hits"]
    (answer,) = client.indices.get_mapping(index=index).values()
    assert hit["_source"]["unheard_of"] == {"of": "field"}
    assert "unheard_of" not in answer["mappings"]["properties"]


@pytest.mark.parametrize("content", ["text", ["a", "b"], [{"role": "user", "content": [1, None]}], {"deep": {"er": 1}}])
def test_content_is_accepted_in_any_shape(client: Elasticsearch, shared: Cluster, content: Any) -> None:
    line = _replace_value(LINES["content"], "gen_ai", {"input": content, "output": content})
    line = _replace_value(line, "event.id", uuid4().hex)
    _create(client, _stream("content", shared), line)


@pytest.mark.parametrize("stream", FIELDS)
def test_index_is_logsdb_with_stored_source_and_refreshes_each_second(
    client: Elasticsearch, shared: Cluster, stream: str
) -> None:
    answer = client.indices.get_settings(index=_stream(stream, shared), flat_settings=True)
    (found,) = answer.values()
    settings = found["settings"]
    assert settings["index.mode"] == "logsdb"
    assert settings["index.mapping.source.mode"] == "stored"
    assert settings["index.refresh_interval"] == "1s"
    sort = ["model_version", "@timestamp"] if stream == "events" else ["@timestamp"]
    assert settings["index.sort.field"] == sort


def test_wide_lines_are_accepted(client: Elasticsearch, shared: Cluster) -> None:
    line = _replace_value(LINES["events"], "labels", {"note": "é" * 100_000})
    line = _replace_value(_replace_value(line, "error.stack_trace", "é" * 100_000), "correlation_id", "é" * 10_000)
    _create(client, _stream("events", shared), line)
