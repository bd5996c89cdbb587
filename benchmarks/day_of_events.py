"""Synthetic day of a busy service: events of four model versions and heartbeats of its processes, in an index."""

import itertools
import random
import time
import uuid
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import Any

import orjson
from elasticsearch import Elasticsearch

from benchmarks.command_line import log_progress
from inferlog.recorder import make_id_maker
from inferlog_ops.core.cluster import Cluster
from inferlog_ops.core.errors import OperatorError
from inferlog_ops.core.streams import build_stream_name

DAY = timedelta(days=1)
END = datetime(2026, 11, 23, tzinfo=UTC)

INSTANCES = 8
HEARTBEAT_SECONDS = 10
BULK_EVENTS = 2_000
SENDERS = 2
SECONDS_BETWEEN_LINES = 10.0

VERSIONS = {"v1": 0.3, "v2": 0.7, "v3": 0.45, "v4-canary": 0.5}  # median latency in seconds
VERSION_SHARES = [30, 45, 20, 5]
ROUTES = ["/v1/chat/completions", "/v1/completions", "/v1/embeddings", "/v1/models/{name}"]
ROUTE_SHARES = [80, 10, 8, 2]
STATUS_CODES = {"success": 200, "rejected": 429, "error": 500, "cancelled": 200}
STATUS_SHARES = [955, 20, 15, 10]
ACTIONS = {"success": "completed", "rejected": "rejected", "error": "failed", "cancelled": "cancelled"}
OUTCOMES = {"success": "success", "rejected": "failure", "error": "failure", "cancelled": "unknown"}
ERRORS = ["TimeoutError", "ValueError", "inferlog_server.inference.errors.BackendError"]

Document = dict[str, object]


def index_a_day(cluster: Cluster, events: int, heartbeat_seconds: int = HEARTBEAT_SECONDS) -> None:
    """
    Index *events* events of the day before `END` and their heartbeats, unless they are indexed already.

    Raises:
        OperatorError: If the index holds another number of events.
    """
    stream = build_stream_name("events", cluster.namespace)
    with cluster.build_client(request_timeout_seconds=300) as client:
        there = client.count(index=stream)["count"]
        if there == events:
            return
        if there:
            raise OperatorError(
                f"{cluster.shown_url}: {stream} already holds {there:,} events; "
                f"expected none or {events:,}: choose another --home or --url"
            )
        send_all(client, stream, generate_events(events))
        send_all(client, build_stream_name("health", cluster.namespace), generate_heartbeats(events, heartbeat_seconds))
        client.indices.refresh(index=f"logs-inference.*-{cluster.namespace}")


def send_all(client: Elasticsearch, stream: str, documents: Iterable[tuple[str, bytes]]) -> None:
    def send(bulk: list[tuple[str, bytes]]) -> None:
        operations: list[Any] = [
            part for name, line in bulk for part in (b'{"create":{"_id":"%s"}}' % name.encode(), line)
        ]
        answer = client.bulk(index=stream, operations=operations, require_data_stream=True, filter_path="errors")
        assert not answer["errors"]

    remaining, sent, told_at = iter(documents), 0, time.monotonic()
    with ThreadPoolExecutor(SENDERS) as senders:
        # A few bulks at a time, to keep memory small.
        while bulks := [bulk for _ in range(4 * SENDERS) if (bulk := list(islice(remaining, BULK_EVENTS)))]:
            list(senders.map(send, bulks))
            sent += sum(map(len, bulks))
            if time.monotonic() > told_at + SECONDS_BETWEEN_LINES:
                log_progress(f"{stream}: {sent:,} so far")
                told_at = time.monotonic()


def generate_events(events: int) -> Iterator[tuple[str, bytes]]:
    """Yield id and line of each event in order of time; deterministic except for the ids."""
    dice = random.Random(events)
    step = DAY / events
    processes = [Process(instance) for instance in range(INSTANCES)]
    for number in range(events):
        event = generate_event(dice, number, END - DAY + step * number, dice.choice(processes))
        yield event["event"]["id"], orjson.dumps(event)  # type: ignore[index]


class Process:
    """Process of the service, with ordered ids and a sequence, as the library writes them."""

    def __init__(self, instance: int) -> None:
        self.instance = instance
        self.make_id = make_id_maker()
        self.sequence = itertools.count()


def generate_event(dice: random.Random, number: int, ended: datetime, process: Process) -> Document:
    (status,) = dice.choices(list(STATUS_CODES), STATUS_SHARES)
    (route,) = dice.choices(ROUTES, ROUTE_SHARES)
    event: Document = {
        "@timestamp": format_iso(ended),
        "event": {
            "id": process.make_id(),
            "sequence": next(process.sequence),
            "action": f"inference_{ACTIONS[status]}",
            "dataset": "inference.events",
            "outcome": OUTCOMES[status],
            "ingested": format_iso(ended + timedelta(seconds=0.2 + dice.expovariate(1))),
        },
        "service": build_service(process.instance),
        "request_id": process.make_id(),
        "correlation_id": f"{number // 2:032x}",
        "client": {"id": f"{dice.randrange(200):016x}"},
        "status": status,
        "latency_seconds": round(dice.expovariate(500), 6),
        "in_flight": dice.randrange(12),
        "http": {"route": route, "request": {"method": "POST"}, "response": {"status_code": STATUS_CODES[status]}},
        "audit": {"prev": uuid.uuid4().hex, "hash": uuid.uuid4().hex},
    }
    if status != "rejected":
        event |= add_model_fields(dice, status)
    if status == "error":
        event["error"] = {"type": dice.choice(ERRORS), "message": "the model did not answer in time"}
    return event


def add_model_fields(dice: random.Random, status: str) -> Document:
    (version,) = dice.choices(list(VERSIONS), VERSION_SHARES)
    latency_seconds = VERSIONS[version] * dice.lognormvariate(0, 0.8)
    input_tokens, output_tokens = dice.randrange(5, 900), dice.randrange(1, 400)
    done: Document = {
        "model_name": "smollm2-135m-instruct",
        "model_version": version,
        "latency_seconds": round(latency_seconds, 6),
        "queue_seconds": round(0.1 * latency_seconds * dice.random(), 6),
        "model_latency_seconds": round(0.8 * latency_seconds, 6),
    }
    if dice.random() < 0.5:
        done["time_to_first_token_seconds"] = round(0.2 * latency_seconds, 6)
    if status == "success":
        done["gen_ai"] = {
            "operation": {"name": "chat"},
            "usage": {"input_tokens": input_tokens, "output_tokens": output_tokens},
            "response": {"finish_reasons": ["stop"]},
        }
        done["cost_usd"] = round((0.2 * input_tokens + 0.8 * output_tokens) / 1e6, 6)
    return done


def generate_heartbeats(events: int, every_seconds: int) -> Iterator[tuple[str, bytes]]:
    """Yield id and line of each process's heartbeat for every *every_seconds* of the day."""
    dice, make_id = random.Random(events), make_id_maker()
    beats = int(DAY.total_seconds()) // every_seconds
    for beat in range(1, beats + 1):
        for instance in range(INSTANCES):
            line = build_heartbeat(dice, instance, events * beat // beats // INSTANCES)
            name = make_id()
            line["@timestamp"] = format_iso(END - DAY + timedelta(seconds=beat * every_seconds - 1))
            line["event"] = {"id": name, "dataset": "inference.health"}
            yield name, orjson.dumps(line)


def build_heartbeat(dice: random.Random, instance: int, written: int) -> Document:
    return {
        "message": "service_heartbeat",
        "log": {"level": "info", "logger": "inferlog"},
        "service": build_service(instance),
        "events_written": written,
        "events_dropped": 0,
        "copies_dropped": 0,
        "events_unshipped_bytes": dice.randrange(50_000),
        "process": {
            "cpu": {"utilization": round(dice.random(), 4)},
            "memory": {"usage_bytes": dice.randrange(200_000_000, 400_000_000)},
        },
        "active_requests": dice.randrange(12),
        "event_loop": {"lag_seconds": round(dice.expovariate(500), 6)},
        "gpu": {"utilization": round(dice.random(), 4), "memory_usage_bytes": dice.randrange(8_000_000_000)},
        "gauges": {"queue_requests": float(dice.randrange(6))},
    }


def build_service(instance: int) -> Document:
    return {
        "name": "scoring",
        "version": "1.4.0",
        "environment": "production",
        "instance": {"id": f"{instance:016x}"},
    }


def format_iso(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
