"""Values of other writers that overflow: no query fails, and other versions keep their figures."""

from datetime import timedelta
from typing import Any

import pytest

from inferlog_ops.core.cluster import Cluster
from inferlog_ops.query import library
from inferlog_ops.query.run import run_query
from tests.golden import END, START, Golden, compute_expected_rows
from tests.golden.reading import format_iso
from tests.support import commands
from tests.support.indexing import create_fresh_cluster, index, index_golden

LARGEST = 2**63 - 1
VERSION = "absurd"
EVENT: dict[str, Any] = {
    "service": {"name": "absurd", "environment": "production"},
    "correlation_id": "absurd",
    "model_version": VERSION,
    "status": "success",
    "http": {"route": "/absurd"},
    "gen_ai": {"usage": {"input_tokens": LARGEST, "output_tokens": LARGEST}},
    **dict.fromkeys(
        ("latency_seconds", "time_to_first_token_seconds", "queue_seconds", "model_latency_seconds", "cost_usd"), 1e300
    ),
}
HEARTBEAT: dict[str, Any] = {
    "service": {"name": "absurd"},
    **dict.fromkeys(("events_written", "events_dropped", "events_unshipped_bytes", "active_requests"), LARGEST),
    "shipper": dict.fromkeys(("refused", "behind_events", "behind_seconds"), LARGEST),
    "process": {"memory": {"usage_bytes": LARGEST}, "cpu": {"utilization": 1e300}},
    "gpu": {"memory_usage_bytes": LARGEST, "utilization": 1e300},
    "gauges": {"queue_requests": 1e300},
}


def _repeat(document: dict[str, Any]) -> list[dict[str, Any]]:
    """Return two documents each of two instances."""
    return [
        {
            **document,
            "@timestamp": format_iso(START + timedelta(seconds=30 + number)),
            "event": {"id": f"absurd-{number}", "sequence": LARGEST - number},
            "service": {**document["service"], "instance": {"id": f"absurd-{number % 2}"}},
        }
        for number in range(4)
    ]


@pytest.fixture(scope="module")
def filled(engine_url: str) -> tuple[Cluster, Golden]:
    cluster = create_fresh_cluster(engine_url)
    documents = index_golden(cluster)
    index(cluster, "events", _repeat(EVENT))
    index(cluster, "health", _repeat(HEARTBEAT))
    return cluster, documents


@pytest.mark.parametrize("name", [name for name, query in library.load_all().items() if "_tstart" in query.text])
def test_query_answers_with_absurd_values(name: str, filled: tuple[Cluster, Golden]) -> None:
    query = library.find(name)
    run_query(filled[0], query, START, END, top_versions=query.top_versions)


@pytest.mark.parametrize("name", ["overview", "token_counts", "token_counts_over_time", "callers"])
def test_tokens_of_other_versions_stay_exact(name: str, filled: tuple[Cluster, Golden]) -> None:
    cluster, documents = filled
    wanted = compute_expected_rows(name, documents.select_between(START, END), START, END)
    rows = run_query(cluster, library.find(name), START, END).rows
    shown = [(row["model_version"], row["input_tokens"], row["output_tokens"]) for row in rows]
    assert [each for each in shown if each[0] != VERSION] == [
        (row["model_version"], row["input_tokens"], row["output_tokens"]) for row in wanted
    ]
    absurd = [each for each in shown if each[0] == VERSION]
    assert absurd
    assert all(isinstance(tokens, int) and tokens >= 2**62 for _, *sums in absurd for tokens in sums)


@pytest.mark.parametrize("arguments", ["compare absurd v1", "trace absurd", "audit verify"])
def test_command_prints_no_traceback_with_absurd_values(arguments: str, filled: tuple[Cluster, Golden]) -> None:
    cluster, _ = filled
    span = [] if "trace" in arguments else ["--from", START.isoformat(), "--to", END.isoformat()]
    options = ["--url", cluster.url, "--namespace", cluster.namespace, "--json"]
    done = commands.run(*arguments.split(), *span, *options)
    assert done.stdout
    assert done.stderr == ""


@pytest.mark.parametrize("name", ["error_rate", "errors_by_type", "callers", "time_spent"])
def test_query_prints_no_warning_of_the_client_about_an_array(name: str, provisioned: Cluster) -> None:
    """The tests make errors of warnings."""
    at = {"@timestamp": format_iso(START), "event": {"id": "a"}, "service": {"name": ["x", "y"]}}
    index(provisioned, "events", [at | {"status": ["success", "error"], "latency_seconds": [0.5, 1.0]}])
    run_query(provisioned, library.find(name), START, END)
