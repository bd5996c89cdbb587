"""The main job from traffic to figures, against services that run."""

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
from inferlog_ops.core.progress import Say
from inferlog_ops.demo import evidence, traffic
from inferlog_ops.demo.result import Result, missing_and_unexpected, versions_of
from inferlog_ops.demo.services import MODEL, Services
from inferlog_ops.query import library
from inferlog_ops.query.reconcile.events import Scope
from inferlog_ops.query.reconcile.figures import Tolerance
from inferlog_ops.query.reconcile.records import Records, read_records
from inferlog_ops.query.reconcile.run import Wanted, reconcile
from inferlog_ops.query.run import run as ask

_PATIENCE_SECONDS = 30.0
_SECONDS_BETWEEN_LOOKS = 0.2


def run(services: Services, home: Home, *, requests: int, backend: str, say: Say) -> tuple[Result, datetime]:
    """
    Send *requests* requests, wait for their events, and return the figures and when the first was sent.

    The wait ends when every event is searchable, or when nothing has moved for half a minute.
    """
    setup_seconds = _seconds_since_start()
    run_id = f"demo-{secrets.token_hex(4)}"
    began = datetime.now(UTC)
    records = _sent(services, home, run_id=run_id, requests=requests, backend=backend, say=say)
    sent_ids = list(records.places)
    with (
        services.cluster.client() as client,
        translate_errors(services.cluster, "looking for the events"),
    ):
        _wait_until_found(client, services, home.logs, run_id, sent=len(sent_ids), say=say)
        written = evidence.written_events(home.logs, run_id)
        found_ids = evidence.found_ids(client, services.cluster.namespace, run_id)
    ended = datetime.now(UTC)
    of_this_run = evidence.of_run(run_id)
    wanted = Wanted(scope=Scope(run_id=run_id), tolerance=Tolerance(), wait_seconds=0.0, settle_seconds=2.0)
    refused = evidence.count_dead_letters(home.shipper_state, run_id)
    missing, unexpected = missing_and_unexpected(sent_ids, found_ids)
    return Result(
        sent=len(sent_ids),
        written=len(written),
        shipped=sum(event.shipped for event in written) - refused,
        found=len(found_ids),
        duplicates=sum(
            row["copies"] - 1
            for row in ask(services.cluster, library.find("duplicate_events"), began, ended, within=of_this_run)
        ),
        dead_lettered=refused,
        setup_seconds=round(setup_seconds, 1),
        versions=figures(services, began, ended, within=of_this_run),
        missing=missing,
        unexpected=unexpected,
        reconciled=reconcile(services.cluster, records, wanted, say),
    ), began


def _sent(services: Services, home: Home, *, run_id: str, requests: int, backend: str, say: Say) -> Records:
    """Send *requests* requests to their ends, and return what their clients have noted."""
    pace = traffic.SIMULATED if backend == "simulated" else traffic.pace_of(services.server_url, MODEL)
    sending = traffic.sending(
        services.server_url, home.output, run_id=run_id, model=MODEL, requests=requests, pace=pace
    )
    with sending as sent:
        while not sent.process.has_finished():
            services.check()
            say(f"sending requests: {sent.count_ended()}/{requests} answered")
            time.sleep(_SECONDS_BETWEEN_LOOKS)
    services.check()
    return read_records([sent.records], run_id=None, say=say)


def figures(
    services: Services, began: datetime, ended: datetime, *, within: dict[str, Any] | None = None
) -> dict[str, dict[str, Any]]:
    """Return what the query ``overview`` says of each model version between *began* and *ended*."""
    return versions_of(ask(services.cluster, library.find("overview"), began, ended, within=within))


def _wait_until_found(
    client: Elasticsearch, services: Services, log_dir: Path, run_id: str, *, sent: int, say: Say
) -> None:
    seen, moved_at = (-1, -1, -1), time.monotonic()
    while True:
        services.check()
        events = evidence.written_events(log_dir, run_id)
        written, shipped = len(events), sum(event.shipped for event in events)
        found = evidence.count_found(client, services.cluster.namespace, run_id)
        # The shipper publishes its positions a moment after the store's answer, so that an event may be found before.
        if min(found, shipped) >= written >= sent:
            return
        if (written, shipped, found) != seen:
            seen, moved_at = (written, shipped, found), time.monotonic()
        elif time.monotonic() - moved_at > _PATIENCE_SECONDS:
            return
        say(f"waiting for the events: {sent} sent, {written} written, {found} searchable")
        time.sleep(_SECONDS_BETWEEN_LOOKS)


def _seconds_since_start() -> float:
    # scripts/demo notes when it was called: the set-up of the environment is part of what a user waits for.
    started_at = os.environ.get("INFERLOG_STARTED_AT")
    return time.time() - (float(started_at) if started_at else psutil.Process().create_time())
