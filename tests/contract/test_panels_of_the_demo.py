"""Every panel shows data that the example service wrote and a shipper sent to the real engine."""

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from uuid import uuid4

import pytest
from elasticsearch import Elasticsearch
from elasticsearch.helpers import scan

from inferlog_ops.core.children import Child
from inferlog_ops.core.cluster import Cluster
from inferlog_ops.demo import traffic
from inferlog_ops.demo.services import MODEL
from inferlog_ops.provision.elasticsearch import provision_cluster
from inferlog_ops.query import library
from inferlog_ops.query.dashboards import files
from inferlog_ops.query.dashboards.panels import list_panels
from inferlog_ops.query.library import Query
from inferlog_ops.query.run import QueryAnswer, run_query
from inferlog_ops.summarize.job import SummarizeSettings, summarize
from inferlog_ops.summarize.summary import SummaryInterval
from tests.support.panel_queries import find_fields, find_fields_of_query, find_streams, list_columns_by_query
from tests.support.polling import wait_until
from tests.support.shipping import QUICK, ShipperDirs

QUERIES = {name: query for name, query in library.load_all().items() if "FROM inferlog-alerts-*" not in query.text}
PANELS = [
    pytest.param(name, columns, id=f"{dashboard.id}/{panel.id}-{name}")
    for dashboard in files.load_all().values()
    for panel in list_panels(dashboard.body)
    for name, columns in list_columns_by_query(panel).items()
    if name in QUERIES and columns
]
EMPTY_WHERE_ALL_IS_WELL = {
    "duplicate_events": "no event is in the index twice",
    "gpu_utilization": "this machine has no GPU",
    "gpu_memory_usage_bytes": "this machine has no GPU",
    "waiting": "nothing is in the shipper's way",
    "fluentd": "the Python shipper ships here",
}
WRITTEN_WHERE_SOMETHING_IS_WRONG_OR_THERE = {
    "gpu.utilization",
    "gpu.memory_usage_bytes",
    "shipper.waiting",
    "fluentd.retry_count",
    "fluentd.dead_letters",
    "fluentd.queue_chunks",
    "fluentd.oldest_seconds",
    "fluentd.queue_bytes",
    "fluentd.buffer_free_ratio",
}
STREAMS = ("events", "app", "health")
REQUESTS = 160
PACE = traffic.Pace(requests_per_second=40, of_a_caller=1)
VERSIONS = [
    {"name": "v1", "share": 60},
    {"name": "v2", "share": 40, "simulated": {"output_tokens_median": 20, "failure_share": 0.2}},
]


Answers = dict[str, QueryAnswer]


@dataclass(frozen=True, slots=True, kw_only=True)
class Demo:
    """
    Results of the demo.

    Attributes:
        running: Rows of every query while service and shipper run.
        stopped: Rows after both were stopped.
        written: Fields of the documents of each stream.
    """

    running: Answers
    stopped: Answers
    written: dict[str, set[str]]


@pytest.fixture(scope="module")
def demo(engine_url: str, tmp_path_factory: pytest.TempPathFactory) -> Demo:
    """Requests of the demo, answered by the example service with simulated models, and shipped."""
    place = ShipperDirs(tmp_path_factory.mktemp("demo"))
    cluster = Cluster(url=engine_url, namespace=f"t{uuid4().hex[:15]}")
    provision_cluster(cluster)
    # Summaries are of whole minutes.
    began = SummaryInterval.MINUTE.floor(datetime.now(UTC))
    with place.run_shipper(cluster, replace(QUICK, heartbeat_seconds=0.2)), run_service(place) as url:
        with traffic.send_traffic(url, place.root, run_id="demo", model=MODEL, requests=REQUESTS, pace=PACE) as sent:
            wait_until(sent.process.has_finished, 90, "the end of the requests")
        wait_until(lambda: has_all_arrived(cluster, began), 60, "every event and a later heartbeat in the store")
        end = datetime.now(UTC) + SummaryInterval.MINUTE.duration
        summarize(cluster, SummarizeSettings(start=began, end=end), end)
        running = run_all_queries(cluster, began)
    with cluster.build_client() as client:
        client.indices.refresh(index=f"logs-inference.*-{cluster.namespace}")
        written = {stream: read_fields(client, stream, cluster.namespace) for stream in STREAMS}
    return Demo(running=running, stopped=run_all_queries(cluster, began), written=written)


def has_all_arrived(cluster: Cluster, began: datetime) -> bool:
    """Return whether every event is searchable and counted by the last heartbeats of service and shipper."""
    answers = [run_query(cluster, QUERIES[name], began, datetime.now(UTC)).rows for name in ("instances", "shippers")]
    if not all(answers):
        return False
    (instance,), (shipper,) = answers
    return instance["found"] == REQUESTS and instance["silent_seconds"] is not None and shipper["shipped"] >= REQUESTS


def run_all_queries(cluster: Cluster, began: datetime) -> Answers:
    ended = datetime.now(UTC)
    return {name: run_query(cluster, query, began, ended) for name, query in QUERIES.items()}


def read_fields(client: Elasticsearch, stream: str, namespace: str) -> set[str]:
    hits = scan(client, index=f"logs-inference.{stream}-{namespace}")
    return {field for hit in hits for field in find_fields(hit["_source"])}


@contextmanager
def run_service(place: ShipperDirs) -> Iterator[str]:
    """Run the example service with the settings that fill every panel: prices, callers, fast heartbeats."""
    prices, ready = place.root / "prices.json", place.root / "ready.json"
    prices.write_text(
        json.dumps({MODEL: {"*": {"input_usd_per_million_tokens": 0.5, "output_usd_per_million_tokens": 1.5}}})
    )
    environment = {
        "INFERLOG_SERVICE_NAME": "demo",
        "INFERLOG_SERVICE_ENVIRONMENT": "test",
        "INFERLOG_LOG_DIR": str(place.logs),
        "INFERLOG_PRICE_FILE": str(prices),
        "INFERLOG_HEARTBEAT_SECONDS": "0.2",
        "INFERLOG_SERVER_VERSIONS": json.dumps(VERSIONS),
        "INFERLOG_SERVER_CLIENT_ID_HEADER": "authorization",
        "INFERLOG_SERVER_DEADLINE_SECONDS": "1",
    }
    command = [sys.executable, "-P", "-m", "inferlog_server", "--backend", "simulated", "--port", "0"]
    server = Child("server", [*command, "--ready-file", str(ready)], output=place.root, environment=environment)
    try:
        yield server.wait_for_url(ready, timeout_seconds=60)
    finally:
        server.stop()


@pytest.mark.parametrize(("name", "columns"), PANELS)
def test_panel_shows_non_empty_result_of_its_query(name: str, columns: set[str], demo: Demo) -> None:
    answer = demo.running[name]
    assert columns <= {column.name for column in answer.columns}
    if name not in EMPTY_WHERE_ALL_IS_WELL:
        without_value = {column for column in columns if all(row[column] is None for row in answer.rows)}
        assert without_value <= EMPTY_WHERE_ALL_IS_WELL.keys()


def test_every_request_is_in_the_figures(demo: Demo) -> None:
    for answers in (demo.running, demo.stopped):
        for name in ("overview", "chains", "callers"):
            assert sum(row["requests"] for row in answers[name].rows) == REQUESTS
        (delivery,) = answers["delivery"].rows
        assert (delivery["written"], delivery["found"], delivery["lost"]) == (REQUESTS, REQUESTS, 0)
        assert (delivery["not_found_yet"], delivery["dropped"]) == (0, 0)
        assert answers["duplicates"].rows == [{"events": REQUESTS, "duplicated": 0}]


def test_stopped_process_is_not_reported_as_silent(demo: Demo) -> None:
    for name in ("instances", "shippers"):
        assert [row["state"] for row in demo.running[name].rows] == ["running"]
        assert [row["state"] for row in demo.stopped[name].rows] == ["stopped"]
    assert demo.running["delivery"].rows[0]["longest_silence_seconds"] >= 0
    assert demo.stopped["delivery"].rows[0]["longest_silence_seconds"] is None


@pytest.mark.parametrize(
    "query", [each for each in QUERIES.values() if find_streams(each)], ids=lambda query: query.name
)
def test_every_field_that_a_query_uses_is_written(query: Query, demo: Demo) -> None:
    """Mapped fields only; the engine rejects unmapped names."""
    used = find_fields_of_query(query)
    assert "@timestamp" in used
    somewhere = {field for stream in find_streams(query) for field in demo.written[stream]}
    assert used - somewhere <= WRITTEN_WHERE_SOMETHING_IS_WRONG_OR_THERE, (
        f"dashboards/queries/{query.name}.esql uses a field that nothing writes: "
        "let the service of tests/contract/test_panels_of_the_demo.py write it, or name it there as an exception"
    )
