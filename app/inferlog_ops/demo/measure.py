"""Measurement of a demo run: sends the traffic, waits for the events, collects the figures."""

import os
import secrets
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psutil
from elasticsearch import Elasticsearch

from inferlog_ops.core.cluster import translate_errors
from inferlog_ops.core.home import Home
from inferlog_ops.core.progress import ReportProgress
from inferlog_ops.demo import evidence, traffic
from inferlog_ops.demo.services import MODEL, Services
from inferlog_ops.demo.summary import DemoResult, find_missing_and_unexpected, group_by_version
from inferlog_ops.query import library
from inferlog_ops.query.reconcile.events import EventScope
from inferlog_ops.query.reconcile.latencies import Tolerance
from inferlog_ops.query.reconcile.reconciliation import ReconcileSettings, reconcile
from inferlog_ops.query.reconcile.records import ClientRecords, read_records
from inferlog_ops.query.run import fetch_rows

_TIMEOUT_SECONDS = 30.0
_SECONDS_BETWEEN_POLLS = 0.2


def run_demo(
    services: Services, home: Home, *, requests: int, backend: str, report: ReportProgress
) -> tuple[DemoResult, datetime]:
    """
    Send *requests* requests, wait for their events, and return the figures and the start time.

    The wait ends when every event is searchable, or after 30 s without progress.
    """
    setup_seconds = _measure_seconds_since_start()
    run_id = f"demo-{secrets.token_hex(4)}"
    began = datetime.now(UTC)
    records = _send_requests(services, home, run_id=run_id, requests=requests, backend=backend, report=report)
    sent_ids = list(records.places)
    with (
        services.cluster.build_client() as client,
        translate_errors(services.cluster, "looking for the events"),
    ):
        _wait_until_found(client, services, home.logs, run_id, sent=len(sent_ids), report=report)
        written = evidence.find_written_events(home.logs, run_id)
        found_ids = evidence.find_ids(client, services.cluster.namespace, run_id)
    ended = datetime.now(UTC)
    run_filter = evidence.build_run_filter(run_id)
    settings = ReconcileSettings(
        scope=EventScope(run_id=run_id), tolerance=Tolerance(), wait_seconds=0.0, settle_seconds=2.0
    )
    refused = evidence.count_dead_letters(home.shipper_state, run_id)
    missing, unexpected = find_missing_and_unexpected(sent_ids, found_ids)
    return DemoResult(
        sent=len(sent_ids),
        written=len(written),
        shipped=sum(event.shipped for event in written) - refused,
        found=len(found_ids),
        duplicates=sum(
            row["copies"] - 1
            for row in fetch_rows(services.cluster, library.find("duplicate_events"), began, ended, within=run_filter)
        ),
        dead_lettered=refused,
        setup_seconds=round(setup_seconds, 1),
        versions=fetch_figures(services, began, ended, within=run_filter),
        missing=missing,
        unexpected=unexpected,
        reconciled=reconcile(services.cluster, records, settings, report),
    ), began


def _send_requests(
    services: Services, home: Home, *, run_id: str, requests: int, backend: str, report: ReportProgress
) -> ClientRecords:
    """Send *requests* requests, wait for their ends, and return the client's records."""
    pace = traffic.SIMULATED if backend == "simulated" else traffic.measure_pace(services.server_url, MODEL)
    sending = traffic.send_traffic(
        services.server_url, home.output, run_id=run_id, model=MODEL, requests=requests, pace=pace
    )
    with sending as sent:
        while not sent.process.has_finished():
            services.check()
            report(f"sending requests: {sent.count_ended()}/{requests} answered")
            time.sleep(_SECONDS_BETWEEN_POLLS)
    services.check()
    return read_records([sent.records], run_id=None, report=report)


def fetch_figures(
    services: Services, began: datetime, ended: datetime, *, within: dict[str, Any] | None = None
) -> dict[str, dict[str, Any]]:
    """Return the rows of the query ``overview`` by model version, between *began* and *ended*."""
    return group_by_version(fetch_rows(services.cluster, library.find("overview"), began, ended, within=within))


def _wait_until_found(
    client: Elasticsearch, services: Services, log_dir: Path, run_id: str, *, sent: int, report: ReportProgress
) -> None:
    seen, moved_at = (-1, -1, -1), time.monotonic()
    while True:
        services.check()
        events = evidence.find_written_events(log_dir, run_id)
        written, shipped = len(events), sum(event.shipped for event in events)
        found = evidence.count_searchable(client, services.cluster.namespace, run_id)
        # The shipper publishes its offsets shortly after the acknowledgement: an event may be searchable before.
        if min(found, shipped) >= written >= sent:
            return
        if (written, shipped, found) != seen:
            seen, moved_at = (written, shipped, found), time.monotonic()
        elif time.monotonic() - moved_at > _TIMEOUT_SECONDS:
            return
        report(f"waiting for the events: {sent} sent, {written} written, {found} searchable")
        time.sleep(_SECONDS_BETWEEN_POLLS)


def _measure_seconds_since_start() -> float:
    # scripts/demo records its start time: the user also waits for the set-up of the environment.
    started_at = os.environ.get("INFERLOG_STARTED_AT")
    return time.time() - (float(started_at) if started_at else psutil.Process().create_time())
