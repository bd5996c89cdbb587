"""A few hundred known documents, and plain Python that answers each saved question about them."""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import count
from random import Random
from typing import Any

Document = dict[str, Any]
Row = dict[str, Any]

START = datetime(2026, 11, 23, 6, 0, 7, 500_000, tzinfo=UTC)
END = datetime(2026, 11, 23, 6, 9, 52, 250_000, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)

_STATUS_CODES = {"success": 200, "rejected": 429, "error": 500, "cancelled": 200}
_WIDTHS_SECONDS = {  # longest range, width of its buckets
    60: 1, 300: 5, 900: 15, 1800: 30, 3600: 60, 10800: 180, 21600: 300, 43200: 600, 86400: 1800,
    259200: 3600, 604800: 10800, 2592000: 43200, 7948800: 86400,
}  # fmt: skip
_WEEK_SECONDS = 604800


@dataclass(frozen=True, slots=True, kw_only=True)
class Golden:
    """
    Documents as they lie in the index.

    Attributes:
        first: Those to index first, one a line.
        again: Some of them once more, to be indexed after a rollover; the index takes an id again then.
        again_later: One of them a third time, after another rollover.
    """

    first: list[Document]
    again: list[Document]
    again_later: list[Document]

    def between(self, start: datetime, end: datetime) -> list[Document]:
        """Return what lies in the index with *start* <= ``@timestamp`` < *end*."""
        documents = [*self.first, *self.again, *self.again_later]
        return [document for document in documents if start <= _when(document) < end]


def golden() -> Golden:
    """Return the documents: the same ones at each call."""
    random = Random(20261123)
    events = list(_events(random))
    holes = {("c", 9), ("c", 12), ("c", 13)}
    kept = [each for each in events if (each["service"]["instance"]["id"], each["event"]["sequence"]) not in holes]
    in_range = [each for each in kept if START <= _when(each) < END]
    again = random.sample(in_range, 3)
    return Golden(first=kept, again=again, again_later=again[:1])


def _events(random: Random) -> Iterator[Document]:
    sequences: defaultdict[str, Iterator[int]] = defaultdict(lambda: count(5))
    on_the_edge = [START - MICROSECOND, START, END - MICROSECOND, END]
    within = sorted(START + (END - START) * random.random() for _ in range(240))
    for number, moment in enumerate([START - timedelta(days=2), *on_the_edge[:2], *within, *on_the_edge[2:]]):
        status = random.choices(list(_STATUS_CODES), [80, 5, 10, 5])[0]
        yield _event(random, number, moment, status, sequences)


def _event(
    random: Random, number: int, moment: datetime, status: str, sequences: defaultdict[str, Iterator[int]]
) -> Document:
    instance = random.choice("abc")
    document: Document = {
        "@timestamp": _iso(moment),
        "event": {"id": f"{number:032x}", "sequence": next(sequences[instance])},
        "service": {"name": "scoring", "instance": {"id": instance}},
        "request_id": f"r{number}",
        "correlation_id": f"c{number // 3}",
        "status": status,
        "http": {"route": "/v1/chat/completions", "response": {"status_code": _STATUS_CODES[status]}},
    }
    if status != "rejected" and random.random() < 0.95:
        document["model_version"] = random.choice(["v1", "v2"])
    if status != "error" or random.random() < 0.5:
        document["latency_seconds"] = round(random.lognormvariate(-1, 1), 6)
    if status == "success":
        document["gen_ai"] = {"usage": {"input_tokens": random.randrange(90), "output_tokens": random.randrange(90)}}
        if random.random() < 0.5:
            document["time_to_first_token_seconds"] = round(random.random(), 6)
    if status == "error":
        del document["http"]["response"]
        if random.random() < 0.8:
            document["error"] = {"type": random.choice(["TimeoutError", "ValueError"]), "message": f"no {number}"}
    if status == "rejected" and random.random() < 0.5:
        del document["http"]
    ingested = _iso(moment + timedelta(microseconds=random.randrange(5_000_000)))
    if number % 3 == 0:
        document["event"]["ingested"] = ingested
    elif number % 3 == 1:
        document["event.ingested"] = ingested
    return document


def expected(name: str, documents: list[Document], start: datetime, end: datetime) -> list[Row]:
    """Return the rows that the query *name* must give for *documents*, all of which lie in the range."""
    span_seconds = (end - start).total_seconds()
    if name.endswith("_over_time"):
        return _over_time(name.removesuffix("_over_time"), documents, start, end)
    return _ANSWERS[name](documents, span_seconds)


def percentile(values: list[float], percent: int) -> float | None:
    """Return the linear interpolation between the two closest ranks, or None of no values."""
    if not values:
        return None
    ordered = sorted(values)
    rank = percent / 100 * (len(ordered) - 1)
    below = int(rank)
    above = min(below + 1, len(ordered) - 1)
    return ordered[below] + (ordered[above] - ordered[below]) * (rank - below)


def get(document: Document, field: str) -> Any:
    """Return the value at a dotted path, or None."""
    if field in document:
        return document[field]
    value: Any = document
    for part in field.split("."):
        value = value.get(part) if isinstance(value, dict) else None
    return value


def _over_time(name: str, documents: list[Document], start: datetime, end: datetime) -> list[Row]:
    span_seconds = (end - start).total_seconds()
    width_seconds = next(
        (width for longest, width in _WIDTHS_SECONDS.items() if span_seconds <= longest), _WEEK_SECONDS
    )
    width = timedelta(seconds=width_seconds)
    buckets: defaultdict[datetime, list[Document]] = defaultdict(list)
    for document in documents:
        moment = _when(document)
        buckets[moment - (moment - datetime(1970, 1, 1, tzinfo=UTC)) % width].append(document)
    rows = []
    for begin, inside in sorted(buckets.items()):
        seconds = (min(begin + width, end) - max(begin, start)).total_seconds()
        bucket = begin.strftime("%Y-%m-%dT%H:%M:%S.000Z")
        rows += [{"bucket": bucket, **row} for row in _ANSWERS[name](inside, seconds)]
    return rows


def _by_version(documents: list[Document], figures: Callable[[list[Document]], Row]) -> list[Row]:
    groups: defaultdict[str, list[Document]] = defaultdict(list)
    for document in documents:
        groups[document.get("model_version", "(none)")].append(document)
    return [{"model_version": version, **figures(inside)} for version, inside in sorted(groups.items())]


def _percentiles(documents: list[Document], field: str) -> Row:
    values = _values(documents, field)
    return {f"p{percent}_seconds": percentile(values, percent) for percent in (50, 95, 99)}


def _values(documents: list[Document], field: str) -> list[Any]:
    return [value for document in documents if (value := get(document, field)) is not None]


def _errors(documents: Iterable[Document]) -> list[Document]:
    return [document for document in documents if document["status"] == "error"]


def _p99_latency(documents: list[Document], _: float) -> list[Row]:
    return _by_version(documents, lambda each: {"requests": len(each), **_percentiles(each, "latency_seconds")})


def _p99_latency_of_successes(documents: list[Document], span_seconds: float) -> list[Row]:
    return _p99_latency([each for each in documents if each["status"] == "success"], span_seconds)


def _time_to_first_token(documents: list[Document], _: float) -> list[Row]:
    field = "time_to_first_token_seconds"
    streams = [each for each in documents if field in each]
    return _by_version(streams, lambda each: {"requests": len(each), **_percentiles(each, field)})


def _error_rate(documents: list[Document], _: float) -> list[Row]:
    return _by_version(documents, _error_figures)


def _error_figures(documents: list[Document]) -> Row:
    errors = len(_errors(documents))
    return {"requests": len(documents), "errors": errors, "error_rate": errors / len(documents)}


def _requests_per_second(documents: list[Document], span_seconds: float) -> list[Row]:
    return _by_version(documents, lambda each: {"requests": len(each), "requests_per_second": len(each) / span_seconds})


def _token_counts(documents: list[Document], _: float) -> list[Row]:
    return _by_version(documents, _tokens)


def _tokens(documents: list[Document]) -> Row:
    names = ("input_tokens", "output_tokens")
    return {name: sum(_values(documents, f"gen_ai.usage.{name}")) for name in names}


def _overview(documents: list[Document], span_seconds: float) -> list[Row]:
    def figures(each: list[Document]) -> Row:
        first_tokens = _values(each, "time_to_first_token_seconds")
        errors, tokens = _error_figures(each), _tokens(each)
        return {
            "requests": len(each),
            "requests_per_second": len(each) / span_seconds,
            "errors": errors["errors"],
            "error_rate": errors["error_rate"],
            **_percentiles(each, "latency_seconds"),
            "time_to_first_token_p50_seconds": percentile(first_tokens, 50),
            **tokens,
            "output_tokens_per_second": tokens["output_tokens"] / span_seconds,
        }

    return _by_version(documents, figures)


def _slowest_requests(documents: list[Document], _: float) -> list[Row]:
    timed = [each for each in documents if "latency_seconds" in each]
    timed.sort(key=lambda each: (each["latency_seconds"], each["@timestamp"]), reverse=True)
    fields = (
        "@timestamp", "model_version", "http.route", "status", "latency_seconds", "queue_seconds",
        "time_to_first_token_seconds", "gen_ai.usage.output_tokens", "request_id", "correlation_id",
    )  # fmt: skip
    return [_listed(each, fields) for each in timed[:20]]


def _recent_errors(documents: list[Document], _: float) -> list[Row]:
    errors = sorted(_errors(documents), key=lambda each: str(each["@timestamp"]), reverse=True)
    fields = (
        "@timestamp", "model_version", "http.route", "http.response.status_code", "error.type", "error.message",
        "latency_seconds", "request_id", "correlation_id",
    )  # fmt: skip
    return [_listed(each, fields) for each in errors[:20]]


def _audit_trail(documents: list[Document], _: float) -> list[Row]:
    trail = sorted(documents, key=lambda each: str(each["request_id"]))
    trail.sort(key=lambda each: str(each["@timestamp"]), reverse=True)
    fields = (
        "@timestamp", "client.id", "service.name", "model_name", "model_version", "status", "request_id",
        "correlation_id",
    )  # fmt: skip
    return [_listed(each, fields) for each in trail]


def _listed(document: Document, fields: Iterable[str]) -> Row:
    row = {field: get(document, field) for field in fields}
    return {**row, "@timestamp": _shortest(_when(document)), "model_version": row["model_version"] or "(none)"}


def _errors_by_type(documents: list[Document], _: float) -> list[Row]:
    groups: defaultdict[tuple[str, str], list[datetime]] = defaultdict(list)
    for each in _errors(documents):
        groups[each.get("model_version", "(none)"), get(each, "error.type") or "(none)"].append(_when(each))
    ranked = sorted(groups.items(), key=lambda item: (-len(item[1]), item[0]))
    return [
        {"model_version": version, "error.type": kind, "errors": len(when), "last_seen": _shortest(max(when))}
        for (version, kind), when in ranked
    ]


def _status_codes(documents: list[Document], _: float) -> list[Row]:
    code = "http.response.status_code"
    counted = Counter((each.get("model_version", "(none)"), each["status"], get(each, code)) for each in documents)
    ranked = sorted(counted.items(), key=lambda item: (item[0][0], -item[1], item[0][1], item[0][2] or 10**9))
    return [
        {"model_version": version, "status": status, code: told, "requests": requests}
        for (version, status, told), requests in ranked
    ]


def _routes(documents: list[Document], _: float) -> list[Row]:
    groups: defaultdict[str, list[Document]] = defaultdict(list)
    for each in documents:
        groups[get(each, "http.route") or "(none)"].append(each)
    return [
        {"http.route": route, **_error_figures(inside), **_without_p95(_percentiles(inside, "latency_seconds"))}
        for route, inside in sorted(groups.items(), key=lambda item: (-len(item[1]), item[0]))
    ]


def _without_p95(percentiles: Row) -> Row:
    return {name: value for name, value in percentiles.items() if name != "p95_seconds"}


def _lost_events(documents: list[Document], _: float) -> list[Row]:
    groups: defaultdict[str, list[int]] = defaultdict(list)
    for each in documents:
        groups[each["service"]["instance"]["id"]].append(each["event"]["sequence"])
    rows = [
        {
            "service.instance.id": instance,
            "expected": (wanted := max(numbers) - min(numbers) + 1),
            "found": len(numbers),
            "lost": wanted - len(numbers),
        }
        for instance, numbers in groups.items()
    ]
    return sorted(rows, key=lambda row: (-row["lost"], row["service.instance.id"]))


def _duplicate_events(documents: list[Document], _: float) -> list[Row]:
    counted = Counter(each["event"]["id"] for each in documents)
    ranked = sorted(counted.items(), key=lambda item: (-item[1], item[0]))
    return [{"event.id": name, "copies": copies} for name, copies in ranked if copies > 1]


def _ingest_lag(documents: list[Document], _: float) -> list[Row]:
    if not documents:
        return []
    lags = [
        (datetime.fromisoformat(ingested) - _when(each)).total_seconds()
        for each in documents
        if (ingested := get(each, "event.ingested")) is not None
    ]
    return [
        {
            "events": len(documents),
            "measured": len(lags),
            **{f"p{percent}_seconds": percentile(lags, percent) for percent in (50, 95, 99)},
            "max_seconds": max(lags, default=None),
        }
    ]


_ANSWERS: dict[str, Callable[[list[Document], float], list[Row]]] = {
    "p99_latency": _p99_latency,
    "p99_latency_of_successes": _p99_latency_of_successes,
    "time_to_first_token": _time_to_first_token,
    "error_rate": _error_rate,
    "requests_per_second": _requests_per_second,
    "token_counts": _token_counts,
    "overview": _overview,
    "audit_trail": _audit_trail,
    "slowest_requests": _slowest_requests,
    "recent_errors": _recent_errors,
    "errors_by_type": _errors_by_type,
    "status_codes": _status_codes,
    "routes": _routes,
    "lost_events": _lost_events,
    "duplicate_events": _duplicate_events,
    "ingest_lag": _ingest_lag,
}


def _when(document: Document) -> datetime:
    return datetime.fromisoformat(document["@timestamp"])


def _iso(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def _shortest(moment: datetime) -> str:
    """Spell *moment* as ES|QL does: milliseconds, and after them what is not zero."""
    fraction = f"{moment.microsecond:06d}"
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{fraction[:3]}{fraction[3:].rstrip('0')}Z"
