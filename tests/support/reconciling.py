"""Records of requests and their events, as written by a load generator and a service."""

import json
import sys
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

from inferlog_ops.query.reconcile.events import RequestEvent
from inferlog_ops.query.reconcile.latencies import Tolerance
from inferlog_ops.query.reconcile.reconciliation import ReconcileResult
from inferlog_ops.query.reconcile.records import ClientOutcome

DUE = datetime(2026, 11, 23, 6, 15, tzinfo=UTC)
ROUTE = "/v1/chat/completions"


EVEN = ReconcileResult(
    start=DUE,
    end=DUE + timedelta(seconds=1),
    sent=3,
    outcomes={ClientOutcome.ANSWERED: 3},
    with_event=3,
    lost=[],
    without_event=0,
    duplicated=[],
    surplus=0,
    copies=0,
    strangers=0,
    some_strangers=[],
    still_coming=False,
    mismatches=[],
    comparisons=[],
    tolerance=Tolerance(),
)
"""Three requests and their three events, without latencies."""


def read_result(done: CompletedProcess[str]) -> dict[str, Any]:
    """Return the result of ``inferlog reconcile --json``, and show its counts."""
    assert done.stdout.startswith("{"), done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    sys.stderr.write(f"{found['sent']} requests, {found['with_event']} events, {found['outcomes']}\n")
    return found


def make_record(correlation_id: str, **changes: Any) -> dict[str, Any]:
    """Return the record of one request, by default answered after 0.1 s and sent 1 ms late."""
    return {
        "correlation_id": correlation_id,
        "caller": "steady",
        "route": ROUTE,
        "model": "smollm2-135m-instruct",
        "intended_at": DUE.isoformat(),
        "sent_after_seconds": 0.001,
        "first_token_after_seconds": None,
        "ended_after_seconds": 0.101,
        "status_code": 200,
        "outcome": "answered",
    } | changes


def write_records(path: Path, records: Iterable[dict[str, Any]]) -> Path:
    path.write_text("".join(json.dumps(each) + "\n" for each in records))
    return path


def make_event(correlation_id: str | None, **changes: Any) -> RequestEvent:
    """Return the parsed event of such a request, with a latency of 0.098 s."""
    values: dict[str, Any] = {
        "ended_at": DUE + timedelta(seconds=0.1),
        "event_id": f"id of {correlation_id}",
        "correlation_id": correlation_id,
        "service_name": "scoring",
        "model_version": "v1",
        "route": ROUTE,
        "status": "success",
        "status_code": 200,
        "latency_seconds": 0.098,
    }
    return RequestEvent(**(values | changes))


def build_document(read: RequestEvent) -> dict[str, Any]:
    """Return the document that is parsed into *read*."""
    response = {} if read.status_code is None else {"response": {"status_code": read.status_code}}
    return {
        "@timestamp": read.ended_at.isoformat(),
        "event": {"id": read.event_id, "dataset": "inference.events"},
        "service": {"name": read.service_name},
        "correlation_id": read.correlation_id,
        "model_version": read.model_version,
        "status": read.status,
        "latency_seconds": read.latency_seconds,
        "http": {"route": read.route, "request": {"method": "POST"}, **response},
    }
