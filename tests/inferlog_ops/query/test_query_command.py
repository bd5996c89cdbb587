"""``inferlog query`` and ``inferlog provision`` as a person and as a program call them."""

import csv
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler
from io import StringIO
from pathlib import Path
from uuid import uuid4

import orjson
import pytest
import typer
from typer.testing import CliRunner, Result

from inferlog_ops.cli import provision, query
from inferlog_ops.core.cluster import Cluster
from inferlog_ops.core.errors import OperatorError
from inferlog_ops.provision.elasticsearch import provision_cluster
from inferlog_ops.query import library
from tests.support.faulty_store import build_error_body
from tests.support.indexing import index
from tests.support.serving import serve_handler

RANGE = ["--from", "2026-11-23T06:00:00Z", "--to", "2026-11-23T06:10:00Z"]
BEFORE = ["--from", "2026-11-22T06:00:00Z", "--to", "2026-11-22T06:10:00Z"]
EVENT = {
    "@timestamp": "2026-11-23T06:05:00.000001Z",
    "event": {"id": "e1", "sequence": 1},
    "model_version": "v1",
    "status": "success",
    "latency_seconds": 0.25,
}

app = typer.Typer(pretty_exceptions_enable=False)
app.command("query")(query.query)
app.command("provision")(provision.provision)


def _run_inferlog(*arguments: str) -> Result:
    return CliRunner().invoke(app, arguments)


def _build_options(cluster: Cluster) -> list[str]:
    return ["--url", cluster.url, "--namespace", cluster.namespace]


@pytest.fixture(scope="module")
def one_event(engine_url: str) -> Cluster:
    cluster = Cluster(url=engine_url, namespace=f"t{uuid4().hex[:15]}")
    provision_cluster(cluster)
    with cluster.build_client() as client:
        stream = f"logs-inference.events-{cluster.namespace}"
        client.create(index=stream, id="e1", document=EVENT, refresh=True)
    return cluster


@pytest.fixture
def ahead(provisioned: Cluster) -> Cluster:
    """Two events of a host whose clock is ten minutes ahead, and one of now."""
    now = datetime.now(UTC)
    for number, ahead in enumerate((timedelta(), timedelta(minutes=9), timedelta(minutes=10))):
        at = (now + ahead).isoformat()
        index(provisioned, "events", [{**EVENT, "@timestamp": at, "event": {"id": f"a{number}", "sequence": number}}])
    return provisioned


@pytest.mark.parametrize("range_", [["--last", "15m"], ["--from", "2026-01-01"], []], ids=str)
def test_events_after_a_range_that_ends_now_are_counted_on_stderr(range_: list[str], ahead: Cluster) -> None:
    result = _run_inferlog("query", "requests_per_second", *range_, *_build_options(ahead))
    assert result.exit_code == 0
    assert "2 events are later than the end of the range, which is now, and left out." in result.stderr
    assert "compare the clocks of the hosts" in result.stderr


def test_json_has_the_number_of_later_events_on_stderr(ahead: Cluster) -> None:
    result = _run_inferlog("query", "requests_per_second", "--json", *_build_options(ahead))
    (row,) = orjson.loads(result.stdout)
    assert row["requests"] == 1
    note = orjson.loads(result.stderr)
    assert (note["kind"], note["count"]) == ("future_events", 2)


def test_later_events_of_another_version_are_not_counted(ahead: Cluster) -> None:
    assert (
        "later than"
        not in _run_inferlog("query", "p99_latency", "--model-version", "v9", *_build_options(ahead)).stderr
    )


def test_range_with_a_given_end_has_no_note_on_later_events(ahead: Cluster) -> None:
    end = (datetime.now(UTC) + timedelta(minutes=5)).isoformat()
    assert _run_inferlog("query", "p99_latency", "--to", end, *_build_options(ahead)).stderr == ""


def test_range_that_ends_now_has_no_note_without_later_events(one_event: Cluster) -> None:
    assert _run_inferlog("query", "p99_latency", "--from", "2026-11-23", *_build_options(one_event)).stderr == ""


def test_query_without_a_name_lists_names_and_questions() -> None:
    result = _run_inferlog("query")
    assert result.exit_code == 0
    for each in library.load_all().values():
        assert each.name in result.stdout
        assert each.question in result.stdout


def test_list_is_json_for_a_program() -> None:
    listed = orjson.loads(_run_inferlog("query", "--json").stdout)
    assert {"name": "p99_latency", "question": library.find("p99_latency").question} in listed


def test_json_is_an_array_of_rows(one_event: Cluster) -> None:
    result = _run_inferlog("query", "p99_latency", *RANGE, "--json", *_build_options(one_event))
    row = {"model_version": "v1", "requests": 1, "p50_seconds": 0.25, "p95_seconds": 0.25, "p99_seconds": 0.25}
    assert orjson.loads(result.stdout) == [row]


def test_json_without_rows_is_an_empty_array(one_event: Cluster) -> None:
    result = _run_inferlog("query", "p99_latency", *BEFORE, "--json", *_build_options(one_event))
    assert orjson.loads(result.stdout) == []


def test_query_selects_the_model_version(one_event: Cluster) -> None:
    rows = [
        orjson.loads(
            _run_inferlog(
                "query", "error_rate", *RANGE, "--model-version", version, "--json", *_build_options(one_event)
            ).stdout
        )
        for version in ("v1", "v2")
    ]
    assert rows == [[{"model_version": "v1", "requests": 1, "errors": 0, "error_rate": 0.0}], []]


def test_csv_has_a_header_and_raw_values(one_event: Cluster) -> None:
    result = _run_inferlog("query", "requests_per_second", *RANGE, "--csv", *_build_options(one_event))
    (row,) = csv.DictReader(StringIO(result.stdout))
    assert row == {"model_version": "v1", "requests": "1", "requests_per_second": str(1 / 600)}


def test_csv_without_rows_is_its_header(one_event: Cluster) -> None:
    result = _run_inferlog("query", "token_counts", *BEFORE, "--csv", *_build_options(one_event))
    assert (
        result.stdout == "model_version,input_tokens,output_tokens,input_tokens_per_second,output_tokens_per_second\n"
    )


def test_table_in_a_pipe_is_not_folded(one_event: Cluster) -> None:
    head, row = _run_inferlog("query", "overview", *RANGE, *_build_options(one_event)).stdout.splitlines()
    assert head.split()[0] == "model_version"
    assert len(head) > 80
    assert row.split()[:2] == ["v1", "1"]


class _FullMemory(BaseHTTPRequestHandler):
    """Returns the error of a 1 GB engine with ten million events, more than the test engine can hold."""

    def do_POST(self) -> None:
        why = "[request] Data too large, data for [<reused_arrays>] would be [650366136/620.2mb]"
        body = build_error_body("circuit_breaking_exception", why, 429)
        self.rfile.read(int(self.headers["content-length"]))
        self.send_response(429)
        for name, value in (("x-elastic-product", "Elasticsearch"), ("content-type", "application/json")):
            self.send_header(name, value)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


def test_query_that_exceeds_memory_advises_a_shorter_range() -> None:
    with serve_handler(_FullMemory) as url:
        result = _run_inferlog("query", "duplicate_events", *RANGE, "--url", url)
    assert isinstance(result.exception, OperatorError)
    assert "choose a shorter range" in str(result.exception)
    assert "[650366136/620.2mb]" in str(result.exception)


def test_empty_result_prints_the_range(one_event: Cluster) -> None:
    result = _run_inferlog("query", "p99_latency", *BEFORE, *_build_options(one_event))
    assert result.exit_code == 0
    assert result.stdout == ""
    assert "p99_latency: no rows from 2026-11-22 06:00:00 UTC to 2026-11-22 06:10:00 UTC" in result.stderr


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["p99_latncy"], "did you mean p99_latency"),
        (["p99_latency", "--json", "--csv"], "--json and --csv"),
        (["p99_latency", "--last", "15 parsecs"], "is not a duration"),
        (["p99_latency", "--from", "soon"], "--from is 'soon'"),
        (["p99_latency", "--from", "2026-11-24", "--to", "2026-11-23"], "is empty"),
        (["p99_latency", "--namespace", "A-B"], "the namespace is 'A-B'"),
        (["lost_events", "--model-version", "v1"], "does not support --model-version"),
    ],
)
def test_wrong_usage_is_reported_in_one_sentence(arguments: list[str], complaint: str) -> None:
    result = _run_inferlog("query", *arguments, "--url", "http://127.0.0.1:1")
    assert isinstance(result.exception, OperatorError)
    assert complaint in str(result.exception)
    assert result.exception.exit_code == 2
    assert result.stdout == ""


@pytest.mark.parametrize("command", [["query", "p99_latency"], ["provision"]])
def test_missing_cluster_error_names_the_options(command: list[str], tmp_path: Path) -> None:
    result = _run_inferlog(*command, "--home", str(tmp_path))
    assert isinstance(result.exception, OperatorError)
    assert "give --url or set ELASTICSEARCH_URL" in str(result.exception)


def test_provision_prints_the_outcome_of_each_object(cluster: Cluster) -> None:
    stream = f"logs-inference.events-{cluster.namespace}"
    first = orjson.loads(_run_inferlog("provision", "--json", *_build_options(cluster)).stdout)
    assert {"name": stream, "kind": "data stream", "outcome": "created"} in first
    second = _run_inferlog("provision", *_build_options(cluster))
    assert second.exit_code == 0
    (line,) = [line for line in second.stdout.splitlines() if stream in line]
    assert line.split() == ["data", "stream", stream, "unchanged"]
