"""``inferlog reconcile`` on the real engine, about known requests and events."""

import itertools
import signal
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta
from pathlib import Path
from random import Random
from typing import Any

import orjson
import pytest
import typer
from typer.testing import CliRunner, Result

from inferlog_ops.cli import reconcile
from inferlog_ops.core.cluster import Cluster
from inferlog_ops.core.errors import OperatorError
from inferlog_ops.query.reconcile.events import RequestEvent
from tests.golden.reading import compute_percentile
from tests.support.commands import begin
from tests.support.indexing import create_fresh_cluster, index, index_parts
from tests.support.reconciling import DUE, ROUTE, build_document, make_event, make_record, write_records

SENT, PER_SECOND = 11_000, 100
"""More than the page size of an index."""

app = typer.Typer(pretty_exceptions_enable=False)
app.command()(reconcile.reconcile)


def make_latency(number: int) -> float:
    return round(0.05 + Random(number).expovariate(5), 6)


def make_sent_record(number: int) -> dict[str, Any]:
    """Return the record of a request that took its client a millisecond longer than the service; some are refused."""
    ends: dict[str, Any] = {"outcome": "refused", "status_code": 400} if number % 50 == 0 else {}
    return make_record(
        f"run-{number}",
        intended_at=(DUE + timedelta(seconds=number / PER_SECOND)).isoformat(),
        ended_after_seconds=0.001 + make_latency(number) + 0.001,
        **ends,
    )


def make_written_event(number: int, **changes: Any) -> RequestEvent:
    """Return the event of that request."""
    refused = {"status": "rejected", "status_code": 400} if number % 50 == 0 else {}
    values: dict[str, Any] = {
        "ended_at": DUE + timedelta(seconds=number / PER_SECOND + make_latency(number) + 0.002),
        "latency_seconds": make_latency(number),
        "model_version": "v2" if number % 5 == 0 else "v1",
        **refused,
    }
    return make_event(**({"correlation_id": f"run-{number}"} | values | changes))


def invoke(cluster: Cluster, *arguments: object) -> Result:
    where = ("--url", cluster.url, "--namespace", cluster.namespace, "--settle-seconds", "0")
    return CliRunner().invoke(app, [*map(str, arguments), *where])


def run_reconcile(cluster: Cluster, *arguments: object) -> dict[str, Any]:
    """Return the JSON output, after a check that the exit code agrees with it."""
    result = invoke(cluster, *arguments, "--json")
    assert isinstance(result.exception, SystemExit | None), result.exception
    said: dict[str, Any] = orjson.loads(result.stdout)
    assert result.exit_code == (0 if said["matches"] else 1)
    return said


@pytest.fixture(scope="module")
def client_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_records(tmp_path_factory.mktemp("client") / "client.jsonl", map(make_sent_record, range(SENT)))


@pytest.fixture(scope="module")
def even(engine_url: str) -> Cluster:
    """Every request has its event."""
    cluster = create_fresh_cluster(engine_url)
    index(cluster, "events", (build_document(make_written_event(number)) for number in range(SENT)))
    return cluster


@pytest.fixture(scope="module")
def uneven(engine_url: str) -> Cluster:
    """Two requests have none, one has two, one is in the index twice, one was another's, and one ended differently."""
    cluster = create_fresh_cluster(engine_url)
    wrong = [make_written_event(7, status="error", status_code=500), make_written_event(8, event_id="another")]
    right = [make_written_event(number) for number in range(SENT) if number not in {3, 4, 7}]
    alien = make_written_event(0, correlation_id="alien", event_id="of alien")
    index_parts(
        cluster, "events", map(build_document, [*right, *wrong, alien]), [build_document(make_written_event(9))]
    )
    return cluster


def test_reconcile_matches_when_records_and_events_agree(even: Cluster, client_file: Path) -> None:
    said = run_reconcile(even, client_file)
    assert said["matches"]
    assert (said["sent"], said["with_event"]) == (SENT, SENT)
    assert said["outcomes"]["refused"] == SENT // 50
    for what in ("lost", "without_event", "duplicated", "events_without_request", "different_ends"):
        assert said[what] == 0
    assert not said["events_still_coming"]
    groups = {
        "v1": [number for number in range(SENT) if number % 5],
        "v2": [number for number in range(SENT) if not number % 5],
        ROUTE: list(range(SENT)),
    }
    assert [each["name"] for each in said["latencies"]] == list(groups)
    for each in said["latencies"]:
        seconds = [make_latency(number) for number in groups[each["name"]]]
        assert each["requests"] == len(seconds)
        for percent in (50, 95, 99):
            exact = compute_percentile(seconds, percent)
            assert exact
            figures = each[f"p{percent}"]
            assert figures["agrees"]
            assert figures["events_seconds"] == pytest.approx(exact)
            assert figures["client_from_sent_seconds"] == pytest.approx(exact + 0.001)
            assert figures["client_from_due_seconds"] == pytest.approx(exact + 0.002)
            assert figures["before_service_seconds"] == pytest.approx(0.001)
            assert figures["dashboard_seconds"] == pytest.approx(exact, rel=0.01), "an estimate, of so many"


def test_table_output_shows_agreement(even: Cluster, client_file: Path) -> None:
    result = invoke(even, client_file)
    assert result.exit_code == 0
    assert "11,000 requests sent: 10,780 answered, 220 refused. 11,000 have an event." in result.stdout
    assert "Clients and dashboards agree within 2 % or 2 ms." in result.stdout
    assert "1.00 ms between the client and the service's measuring point" in result.stdout


def test_lost_duplicated_and_alien_events_are_found_and_named(uneven: Cluster, client_file: Path) -> None:
    said = run_reconcile(uneven, client_file, "--wait-seconds", "0")
    assert not said["matches"]
    assert (said["lost"], said["lost_ids"]) == (2, ["run-3", "run-4"])
    assert (said["duplicated"], said["duplicated_ids"]) == (2, ["run-8", "run-9"])
    assert (said["surplus_events"], said["of_them_copies"]) == (2, 1)
    assert (said["events_without_request"], said["events_without_request_ids"]) == (1, ["alien"])
    assert said["different_ends"] == 1
    assert said["different_ends_shown"] == [
        {
            "correlation_id": "run-7",
            "outcome": "answered",
            "client_status_code": 200,
            "status": "error",
            "event_status_code": 500,
        }
    ]


def test_table_output_names_lost_and_duplicated_requests(uneven: Cluster, client_file: Path) -> None:
    result = invoke(uneven, client_file, "--wait-seconds", "0")
    assert result.exit_code == 1
    assert "lost: 2 (answered, without an event): run-3, run-4" in result.stdout
    assert "duplicated: 2 (2 events too many, 1 of them copies): run-8, run-9" in result.stdout
    assert "events without request: 1: alien" in result.stdout
    assert "different ends: 1: run-7 answered (200) is error (500)" in result.stdout
    assert "requests are lost, requests are duplicated, there are events without a request" in result.stdout


def test_run_id_excludes_other_clients(uneven: Cluster, client_file: Path) -> None:
    assert run_reconcile(uneven, client_file, "--run-id", "run-", "--wait-seconds", "0")["events_without_request"] == 0


@pytest.mark.parametrize("tolerance", [("--tolerance", "0%"), ("--tolerance", "0"), ("--tolerance", " 0.00% ")])
def test_difference_beyond_the_tolerance_is_reported(
    even: Cluster, client_file: Path, tolerance: tuple[str, str]
) -> None:
    said = run_reconcile(even, client_file, *tolerance, "--tolerance-seconds", "0.0001")
    assert not said["matches"]
    assert said["lost"] == 0
    assert not any(each["p50"]["agrees"] for each in said["latencies"])


@pytest.mark.parametrize("tolerance", ["2 percent", "-1%", "nan", "inf", "2%%", ""])
def test_invalid_tolerance_is_rejected(even: Cluster, client_file: Path, tolerance: str) -> None:
    result = invoke(even, client_file, "--tolerance", tolerance)
    assert isinstance(result.exception, OperatorError)
    assert f"--tolerance is {tolerance!r}; expected a share such as 2% or 0.02" in str(result.exception)


@pytest.mark.parametrize("seconds", ["nan", "inf", "-1"])
@pytest.mark.parametrize("option", ["--wait-seconds", "--settle-seconds", "--tolerance-seconds"])
def test_infinite_seconds_are_rejected(option: str, seconds: str, tmp_path: Path) -> None:
    file = write_records(tmp_path / "client.jsonl", [make_record("a")])
    result = CliRunner().invoke(app, [str(file), "--url", "http://127.0.0.1:9", option, seconds])
    assert result.exit_code == 2
    assert f"Invalid value for '{option}'" in result.output


def test_events_of_two_services_require_the_service_option(engine_url: str, tmp_path: Path) -> None:
    cluster = create_fresh_cluster(engine_url)
    gateway = make_event("a", service_name="gateway", event_id="of gateway")
    index(cluster, "events", map(build_document, [make_event("a"), gateway]))
    file = write_records(tmp_path / "client.jsonl", [make_record("a")])
    result = invoke(cluster, file)
    assert isinstance(result.exception, OperatorError)
    assert "(gateway, scoring); select the service that the clients called with --service" in str(result.exception)
    assert run_reconcile(cluster, file, "--service", "gateway")["with_event"] == 1


def test_event_inside_a_request_is_not_a_duplicate(engine_url: str, tmp_path: Path) -> None:
    """Such as a call with an event of its own: it has the request's correlation id, and no HTTP method."""
    cluster = create_fresh_cluster(engine_url)
    inside = build_document(make_event("a", event_id="of a call")) | {"http": {}}
    index(cluster, "events", [build_document(make_event("a")), inside])
    said = run_reconcile(cluster, write_records(tmp_path / "client.jsonl", [make_record("a")]))
    assert said["matches"]
    assert said["latencies"][0]["requests"] == 1


@contextmanager
def run_in_background(cluster: Cluster, file: Path, *, until: str, settle_seconds: float) -> Iterator[Any]:
    """Run the command on *file* and return as soon as it prints *until*."""
    where = ("--url", cluster.url, "--namespace", cluster.namespace)
    patience = ("--wait-seconds", "100", "--settle-seconds", settle_seconds)
    with begin("reconcile", file, *where, *patience, "--json") as process:
        assert process.stderr
        for line in process.stderr:
            if line.startswith(until):
                break
        yield process
        with suppress(ProcessLookupError):
            process.kill()


@pytest.fixture
def waiting(provisioned: Cluster, tmp_path: Path) -> Iterator[Any]:
    """Start the command while one of two events is missing and another client's event completes the count."""
    index(provisioned, "events", map(build_document, [make_event("a"), make_event("alien")]))
    file = write_records(tmp_path / "client.jsonl", [make_record("a"), make_record("b")])
    until = "waiting for the events: 0 of 1 are searchable"
    with run_in_background(provisioned, file, until=until, settle_seconds=0) as process:
        yield process


def test_reconcile_waits_for_events_not_yet_searchable(waiting: Any, provisioned: Cluster) -> None:
    index(provisioned, "events", [build_document(make_event("b"))])
    printed, _ = waiting.communicate(timeout=60)
    assert orjson.loads(printed)["lost"] == 0


def test_copy_that_arrives_after_all_events_is_counted(provisioned: Cluster, tmp_path: Path) -> None:
    index(provisioned, "events", [build_document(make_event("a"))])
    file = write_records(tmp_path / "client.jsonl", [make_record("a")])
    until = "waiting for the events: 1 found; waiting for duplicates"
    with run_in_background(provisioned, file, until=until, settle_seconds=8) as process:
        index(provisioned, "events", [build_document(make_event("a", event_id="another"))])
        printed, _ = process.communicate(timeout=60)
    assert orjson.loads(printed)["duplicated_ids"] == ["a"]


def test_wait_ends_and_is_reported_when_events_keep_arriving(provisioned: Cluster, tmp_path: Path) -> None:
    """Other clients use the service, also after the run; no --run-id is given."""
    index(provisioned, "events", [build_document(make_event("a"))])
    file = write_records(tmp_path / "client.jsonl", [make_record("a")])
    where = ("--url", provisioned.url, "--namespace", provisioned.namespace)
    later = DUE + timedelta(seconds=10)
    with begin("reconcile", file, *where, "--wait-seconds", 6, "--settle-seconds", 5.5, "--json") as process:
        for number in itertools.count():
            if process.poll() is not None:
                break
            index(provisioned, "events", [build_document(make_event(f"other {number}", ended_at=later))])
        printed, _ = process.communicate(timeout=60)
    said = orjson.loads(printed)
    assert said["matches"]
    assert said["events_still_coming"]


def test_ctrl_c_ends_the_wait(waiting: Any) -> None:
    waiting.send_signal(signal.SIGINT)
    printed, said = waiting.communicate(timeout=30)
    assert (waiting.returncode, printed) == (130, "")
    assert "Traceback" not in said


def test_cluster_without_streams_is_reported_in_one_sentence(cluster: Cluster, tmp_path: Path) -> None:
    result = invoke(cluster, write_records(tmp_path / "client.jsonl", [make_record("a")]))
    assert isinstance(result.exception, OperatorError)
    assert f"create it with: inferlog provision --namespace {cluster.namespace}" in str(result.exception)
