"""Golden documents: events, heartbeats of services and shippers, and log lines."""

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import count
from random import Random

from tests.golden.reading import Document, format_iso, get_time

START = datetime(2026, 11, 23, 6, 0, 7, 500_000, tzinfo=UTC)
END = datetime(2026, 11, 23, 6, 9, 52, 250_000, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)

_STATUS_CODES = {"success": 200, "rejected": 429, "error": 500, "cancelled": 200}
_V2_SINCE = START + timedelta(minutes=2)
_V3_SINCE = START + timedelta(minutes=5)
_E_SINCE = START + timedelta(minutes=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Golden:
    """
    Documents as indexed; ``event.dataset`` names their stream.

    Attributes:
        first: Events to index first, one a line.
        again: Some of them once more, to be indexed after a rollover; the index takes an id again then.
        again_later: One of them a third time, after another rollover.
        heartbeats: Of processes that serve, of shippers, and of Fluentds.
        log_lines: What services wrote besides.
    """

    first: list[Document]
    again: list[Document]
    again_later: list[Document]
    heartbeats: list[Document]
    log_lines: list[Document]

    def select_between(self, start: datetime, end: datetime) -> list[Document]:
        """Return the indexed documents with *start* <= ``@timestamp`` < *end*."""
        documents = [*self.first, *self.again, *self.again_later, *self.heartbeats, *self.log_lines]
        return [document for document in documents if start <= get_time(document) < end]


def build_golden() -> Golden:
    """Return the documents, the same at each call."""
    random = Random(20261123)
    events = list(_build_events(random))
    holes = {("c", 9), ("c", 12), ("c", 13)}
    kept = [each for each in events if (each["service"]["instance"]["id"], each["event"]["sequence"]) not in holes]
    in_range = [each for each in kept if START <= get_time(each) < END]
    again = random.sample(in_range, 3)
    return Golden(
        first=kept,
        again=again,
        again_later=again[:1],
        heartbeats=[
            *_build_service_heartbeats(random),
            *_build_shipper_heartbeats(random),
            *_build_fluentd_heartbeats(),
        ],
        log_lines=list(_build_log_lines(random, in_range)),
    )


def _build_events(random: Random) -> Iterator[Document]:
    sequences: defaultdict[str, Iterator[int]] = defaultdict(lambda: count(5))
    on_the_edge = [START - MICROSECOND, START, END - MICROSECOND, END]
    within = sorted(START + (END - START) * random.random() for _ in range(400))
    for number, moment in enumerate([START - timedelta(days=2), *on_the_edge[:2], *within, *on_the_edge[2:]]):
        status = random.choices(list(_STATUS_CODES), [80, 5, 10, 5])[0]
        yield _build_event(random, number, moment, status, sequences)


def _build_event(
    random: Random, number: int, moment: datetime, status: str, sequences: defaultdict[str, Iterator[int]]
) -> Document:
    instance = random.choice("abc")
    document: Document = {
        "@timestamp": format_iso(moment),
        "event": {"id": f"{number:032x}", "sequence": next(sequences[instance]), "dataset": "inference.events"},
        "service": {"name": "scoring" if instance == "a" else "gateway", "instance": {"id": instance}},
        "request_id": f"r{number}",
        "status": status,
        "http": {"route": "/v1/chat/completions", "response": {"status_code": _STATUS_CODES[status]}},
    }
    if number % 10:
        document["correlation_id"] = f"c{number // 3}"
    if random.random() < 0.7:
        document["client"] = {"id": random.choice(["ann", "ben", "cleo"])}
    if status != "rejected" and random.random() < 0.95:
        document["model_version"] = _choose_version(random, moment)
    if status != "error" or random.random() < 0.5:
        document |= _build_durations(random, queued=instance == "a")
    document |= _RESULTS[status](random, number)
    ingested = format_iso(moment + timedelta(microseconds=random.randrange(5_000_000)))
    if number % 3 == 0:
        document["event"]["ingested"] = ingested
    elif number % 3 == 1:
        document["event.ingested"] = ingested
    return document


def _build_durations(random: Random, *, queued: bool) -> Document:
    latency_seconds = round(random.lognormvariate(-1, 1.5), 6)
    if not queued:
        return {"latency_seconds": latency_seconds}
    return {
        "latency_seconds": latency_seconds,
        "queue_seconds": round(latency_seconds * random.random() / 2, 6),
        "model_latency_seconds": round(latency_seconds * random.random() / 2, 6),
    }


def _build_success(random: Random, _number: int) -> Document:
    fields: Document = {
        "gen_ai": {"usage": {"input_tokens": random.randrange(90), "output_tokens": random.randrange(90)}}
    }
    if random.random() < 0.5:
        fields["time_to_first_token_seconds"] = round(random.random(), 6)
    if random.random() < 0.8:
        fields["cost_usd"] = round(random.random() / 1000, 6)
    return fields


def _build_error(random: Random, number: int) -> Document:
    fields: Document = {"http": {"route": "/v1/chat/completions"}}
    if random.random() < 0.8:
        fields["error"] = {"type": random.choice(["TimeoutError", "ValueError"]), "message": f"no {number}"}
    return fields


def _build_rejected(random: Random, _number: int) -> Document:
    return {"http": {}} if random.random() < 0.5 else {}


def _build_cancelled(_random: Random, _number: int) -> Document:
    return {}


_RESULTS = {
    "success": _build_success,
    "rejected": _build_rejected,
    "error": _build_error,
    "cancelled": _build_cancelled,
}


def _choose_version(random: Random, moment: datetime) -> str:
    """Return v1, from some time on also v2, and later still v3: the newest one, and the rarest."""
    versions = ["v1", "v1", "v1", "v1", "v1"]
    if moment >= _V2_SINCE:
        versions += ["v2", "v2", "v2"]
    if moment >= _V3_SINCE:
        versions += ["v3", "v3"]
    return random.choice(versions)


def _build_service_heartbeats(random: Random) -> Iterator[Document]:
    """
    Yield those of five processes: a pauses, b stops, c counts more than was found, d has no event in the index.

    b has lost its first events and has a start time; e has dropped all of them.
    """
    written = {"a": 100, "b": 120, "c": 130, "d": 7}
    moments = [START - MICROSECOND, START, *(START + timedelta(seconds=10 * beat) for beat in range(1, 58)), END]
    for beat, moment in enumerate(moments):
        for instance in "abcd":
            if instance == "b" and beat > 40:
                continue
            written[instance] += random.randrange(3)
            yield _build_service_heartbeat(
                random,
                instance,
                moment,
                written[instance],
                dropped=2 if instance == "c" else 0,
                started=START if instance == "b" else None,
                stopped=(instance, beat) in {("a", 20), ("b", 40)},
            )
        if moment >= _E_SINCE:
            yield _build_service_heartbeat(random, "e", moment, 0, dropped=beat, started=_E_SINCE)


def _build_service_heartbeat(
    random: Random,
    instance: str,
    moment: datetime,
    written: int,
    *,
    dropped: int = 0,
    started: datetime | None = None,
    stopped: bool = False,
) -> Document:
    document: Document = {
        "@timestamp": format_iso(moment),
        "event": {"id": f"h-{instance}-{format_iso(moment)}", "dataset": "inference.health"},
        "service": {"name": "scoring" if instance in "ad" else "gateway", "instance": {"id": instance}},
        "message": "service_stopped" if stopped else "service_heartbeat",
        "events_written": written,
        "events_dropped": dropped,
        "events_unshipped_bytes": random.randrange(10_000),
        "active_requests": random.randrange(9),
        "process": {
            "cpu": {"utilization": round(random.random() * 2, 4)},
            "memory": {"usage_bytes": 10**8 + random.randrange(10**8)},
        },
    }
    if started is not None:
        document["instance_started"] = format_iso(started)
    if instance != "b":
        document["event_loop"] = {"lag_seconds": round(random.random() / 10, 6)}
    if instance in "ad":
        document["gauges"] = {"queue_requests": float(random.randrange(5))}
        document["gpu"] = {"utilization": round(random.random(), 2), "memory_usage_bytes": random.randrange(10**10)}
    return document


def _build_shipper_heartbeats(random: Random) -> Iterator[Document]:
    """Yield those of two shippers: s1 pauses, and waits at its end; s2 starts with an unknown lag, and stops."""
    for shipper in ("s1", "s2"):
        shipped = refused = 0
        for beat in range(58):
            shipped += random.randrange(50)
            refused += shipper == "s2" and beat > 50
            figures: Document = {
                "shipped": shipped,
                "refused": refused,
                "lost_bytes": 0,
                "retries": beat // 7,
                "behind_seconds": round(random.random() * 3, 3),
            }
            if shipper == "s1" or beat > 3:
                figures["behind_events"] = random.randrange(99)
            if beat % 5:
                figures["clock_skew_seconds"] = (beat - 40) / 8 if shipper == "s1" else beat / 4
            if beat % 4 == 1:
                figures["waiting"] = ["the store is full", "half a line"]
            yield {
                "@timestamp": format_iso(START + timedelta(seconds=10 * beat, microseconds=7)),
                "event": {"id": f"{shipper}-{beat}", "dataset": "inference.health"},
                "service": {"name": "inferlog-shipper", "instance": {"id": shipper}},
                "message": f"shipper_{'stopped' if (shipper, beat) in {('s1', 31), ('s2', 57)} else 'heartbeat'}",
                "shipper": figures,
            }


def _build_fluentd_heartbeats() -> Iterator[Document]:
    """Yield the heartbeats of two Fluentds: f1 fills and empties its buffer, f2 ends early."""
    for fluentd, beats in (("f1", 58), ("f2", 9)):
        for beat in range(beats):
            waiting = (29 - abs(29 - beat)) * 30_000_000 if fluentd == "f1" else 0
            yield {
                "@timestamp": format_iso(START + timedelta(seconds=10 * beat, microseconds=11)),
                "event": {"id": f"{fluentd}-{beat}", "dataset": "inference.health"},
                "service": {"name": "inferlog-fluentd", "instance": {"id": fluentd}},
                "message": "fluentd_heartbeat",
                "fluentd": {
                    "retry_count": beat // 5,
                    "queue_chunks": waiting // 4_000_000,
                    "queue_bytes": waiting,
                    "oldest_seconds": waiting / 1_000_000,
                    "buffer_free_ratio": round(1 - waiting / 10**9, 2),
                },
            }
            yield {
                "@timestamp": format_iso(START + timedelta(seconds=10 * beat, microseconds=12)),
                "event": {"id": f"{fluentd}-letters-{beat}", "dataset": "inference.health"},
                "service": {"name": "inferlog-fluentd", "instance": {"id": fluentd}},
                "message": "fluentd_heartbeat",
                "fluentd": {"dead_letters": beat // 20 if fluentd == "f1" else 0},
            }


def _build_log_lines(random: Random, events: list[Document]) -> Iterator[Document]:
    for number, event in enumerate(random.sample(events, 40)):
        line = {
            "@timestamp": format_iso(get_time(event) - timedelta(milliseconds=number)),
            "event": {"id": f"l-{number}", "dataset": "inference.app"},
            "service": event["service"],
            "message": f"took {number} of 40",
            "log": {"level": random.choice(["info", "error"])},
            "request_id": event["request_id"],
        }
        if "correlation_id" in event:
            line["correlation_id"] = event["correlation_id"]
        if number % 2 and "model_version" in event:
            line["model_version"] = event["model_version"]
        yield line
