"""
Agreement of client latency and dashboard latency, over twenty thousand requests of all kinds.

    .venv/bin/python -m benchmarks.agreement            # 20 000 requests
    .venv/bin/python -m benchmarks.agreement --quick    # 2 000

Callers send requests and streams to a service of two workers, some malformed, some closed early. The shipper sends the
events to the embedded engine, and `inferlog reconcile` compares the callers' records with the events. Each caller waits
for its response before the next request: on a shared machine, a fixed schedule would build up an artificial queue. The
simulated versions are as slow as language models. With faster ones, the comparison would measure the wait for a
processor.
"""

import argparse
import itertools
import subprocess
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from time import perf_counter
from typing import Any

import orjson

from benchmarks import command_line
from benchmarks.benchmark_report import BenchmarkReport, Goal, Table, exit_if_missed, show_report
from benchmarks.command_line import log_progress
from benchmarks.engines import open_home
from benchmarks.pipeline import run_service, run_store
from inferlog_ops.core.children import build_module_command
from inferlog_ops.core.errors import OperatorError
from inferlog_traffic import bodies
from inferlog_traffic.exchange import ROUTE, ObservedResponse, TrafficRequest, open_pool, send_request
from inferlog_traffic.records import RecordFile, RequestRecord

MODEL = "smollm2-135m-instruct"
# At 2.7 ms a request, 200 callers keep two processors busy by half to two thirds.
CALLERS = 200
WORKERS = 2
RECONCILE_SECONDS = 300.0
SPEED = {"first_token_median_seconds": 0.4, "token_median_seconds": 0.005}
VERSIONS = [
    {"name": "v1", "share": 80, "simulated": SPEED},
    {"name": "v2", "share": 20, "simulated": SPEED | {"first_token_median_seconds": 0.6, "failure_share": 0.02}},
]
PERCENTILES = ("p50", "p95", "p99")
COUNTS = ("lost", "duplicated", "surplus_events", "events_without_request", "different_ends")


def main() -> None:
    options = parse_options()
    with (
        open_home(options.home) as home,
        run_store(home) as store,
        run_service(home, workers=WORKERS, versions=VERSIONS, library={}) as (url, _),
    ):
        log_progress(f"{options.requests:,} requests by {CALLERS} callers")
        records = home.root / "records.jsonl"
        send_all(url, records, options.requests)
        log_progress("comparing records and events")
        reconciled = reconcile(records, store.cluster.url, store.cluster.namespace)
    report = BenchmarkReport(figures=reconciled, tables=[build_table(reconciled)], goals=judge(reconciled))
    show_report(report, options)
    exit_if_missed(report)


def parse_options() -> argparse.Namespace:
    parser = command_line.make_parser(__doc__)
    parser.add_argument("--requests", type=int, help="total requests; default: 20000, quick 2000")
    parser.add_argument("--home", type=Path, help="directory for engine and files; default: a temporary directory")
    return command_line.parse_options(parser, full={"requests": 20_000}, quick={"requests": 2_000})


def make_request(number: int) -> TrafficRequest:
    """Return a request of the mix: whole or streamed, of any version or one, some malformed, some closed early."""
    correlation_id, prompt = f"many-{number}", "Name three colours."
    if number % 20 == 3:
        wrong = bodies.build_malformed(MODEL)
        body = wrong[number // 20 % len(wrong)]
        return TrafficRequest(correlation_id=correlation_id, caller="malformed", body=body, model=None)
    leaves, streamed = number % 20 == 7, number % 2 == 1
    model = f"{MODEL}:v2" if number % 10 == 0 else MODEL
    body = bodies.build_chat(model, bodies.LONG_STORY if leaves else prompt, stream=streamed)
    return TrafficRequest(
        correlation_id=correlation_id, caller="many", body=body, model=model, streamed=streamed, leaves=leaves
    )


def send_all(url: str, path: Path, requests: int) -> None:
    """Send the requests and record each in *path*, with the code of the load generator."""
    pool, records, numbers = open_pool(answer_timeout_seconds=120), RecordFile(path), itertools.count()

    def call(_: int) -> None:
        while (number := next(numbers)) < requests:
            sent, answer = make_request(number), ObservedResponse()
            due_at, intended_at = perf_counter(), datetime.now(UTC)
            send_request(pool, url, sent, answer)
            if answer.ended_at is None:
                raise OperatorError(f"request {number} has not ended: {answer}")
            records.append(
                RequestRecord(
                    correlation_id=sent.correlation_id,
                    caller=sent.caller,
                    route=ROUTE,
                    model=sent.model,
                    intended_at=intended_at,
                    sent_after_seconds=0.0,
                    first_token_after_seconds=None,
                    ended_after_seconds=answer.ended_at - due_at,
                    status_code=answer.status_code,
                    outcome=answer.outcome,
                )
            )

    with ThreadPoolExecutor(CALLERS) as threads:
        list(threads.map(call, range(CALLERS)))
    records.close()


def reconcile(records: Path, url: str, namespace: str) -> dict[str, Any]:
    """Return the JSON output of `inferlog reconcile` for *records*."""
    arguments = ("reconcile", str(records), "--url", url, "--namespace", namespace, "--json")
    done = subprocess.run(
        build_module_command("inferlog_ops.cli.main", *arguments),
        capture_output=True,
        text=True,
        timeout=RECONCILE_SECONDS,
        check=False,
    )
    if not done.stdout:
        raise OperatorError(f"inferlog reconcile failed with exit code {done.returncode}: {done.stderr.strip()}")
    reconciled: dict[str, Any] = orjson.loads(done.stdout)
    return reconciled


def find_route_latencies(reconciled: dict[str, Any]) -> dict[str, Any]:
    (whole,) = (each for each in reconciled["latencies"] if each["group"] == "http.route")
    latencies: dict[str, Any] = whole
    return latencies


def build_table(reconciled: dict[str, Any]) -> Table:
    whole = find_route_latencies(reconciled)
    rows = [
        (
            percentile,
            f"{whole[percentile]['client_from_sent_seconds']:.4f}",
            f"{whole[percentile]['dashboard_seconds']:.4f}",
            f"{whole[percentile]['difference_seconds']:+.4f}",
            f"{whole[percentile]['before_service_seconds']:.4f}",
        )
        for percentile in PERCENTILES
    ]
    headings = (
        f"{whole['requests']:,} requests",
        "clients, s",
        "dashboards, s",
        "difference, s",
        "before the service, s",
    )
    return Table(title="Latency as clients and dashboards see it", columns=headings, rows=rows)


def judge(reconciled: dict[str, Any]) -> list[Goal]:
    whole = find_route_latencies(reconciled)
    counts = [
        Goal(what=name.replace("_", " "), wanted="0", found=f"{reconciled[name]}", met=reconciled[name] == 0)
        for name in COUNTS
    ]
    latencies = [
        Goal(
            what=f"{percentile} of clients against dashboards",
            wanted="within 2 % or 2 ms",
            found=f"{whole[percentile]['difference_seconds']:+.4f} s",
            met=bool(whole[percentile]["agrees"]),
        )
        for percentile in PERCENTILES
    ]
    return counts + latencies


if __name__ == "__main__":
    command_line.run_main(main)
