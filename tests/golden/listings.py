"""Lists of requests and log lines, and the traces they form."""

from collections.abc import Iterable
from datetime import datetime, timedelta

from tests.golden.reading import (
    Document,
    Row,
    find_highest,
    format_shortest,
    get,
    get_time,
    group_by,
    list_values,
    select_status,
    select_stream,
)


def _answer_slowest_requests(documents: list[Document], _start: datetime, _end: datetime) -> list[Row]:
    timed = [each for each in select_stream(documents, "events") if "latency_seconds" in each]
    timed.sort(key=lambda each: (each["latency_seconds"], each["@timestamp"]), reverse=True)
    fields = (
        "@timestamp", "model_version", "http.route", "status", "latency_seconds", "queue_seconds",
        "time_to_first_token_seconds", "gen_ai.usage.output_tokens", "request_id", "correlation_id",
    )  # fmt: skip
    return [_build_row(each, fields) for each in timed[:20]]


def _answer_recent_errors(documents: list[Document], _start: datetime, _end: datetime) -> list[Row]:
    errors = select_status(select_stream(documents, "events"), "error")
    errors.sort(key=lambda each: str(each["@timestamp"]), reverse=True)
    fields = (
        "@timestamp", "model_version", "http.route", "http.response.status_code", "error.type", "error.message",
        "latency_seconds", "request_id", "correlation_id",
    )  # fmt: skip
    return [_build_row(each, fields) for each in errors[:20]]


def _answer_audit_trail(documents: list[Document], _start: datetime, _end: datetime) -> list[Row]:
    trail = sorted(select_stream(documents, "events"), key=lambda each: str(each["request_id"]))
    trail.sort(key=lambda each: str(each["@timestamp"]), reverse=True)
    fields = (
        "@timestamp", "client.id", "service.name", "model_name", "model_version", "status", "request_id",
        "correlation_id",
    )  # fmt: skip
    return [_build_row(each, fields) for each in trail]


def _build_row(document: Document, fields: Iterable[str]) -> Row:
    row = {field: get(document, field) for field in fields}
    return {**row, "@timestamp": format_shortest(get_time(document)), "model_version": row["model_version"] or "(none)"}


def _answer_trace(documents: list[Document], _start: datetime, _end: datetime) -> list[Row]:
    found = [
        each
        for each in select_stream(documents, "events") + select_stream(documents, "app")
        if "correlation_id" in each
    ]
    rows = [
        {
            "began": format_shortest(get_time(each) - timedelta(seconds=each.get("latency_seconds", 0))),
            "correlation_id": each["correlation_id"],
            "service.name": get(each, "service.name"),
            "what": _describe(each),
            "model_version": each.get("model_version"),
            "status": each.get("status"),
            "latency_seconds": each.get("latency_seconds"),
            "output_tokens": get(each, "gen_ai.usage.output_tokens"),
            "request_id": each["request_id"],
        }
        for each in found
    ]
    return sorted(rows, key=lambda row: (datetime.fromisoformat(str(row["began"])), row["request_id"], row["what"]))


def _describe(document: Document) -> str:
    if "status" in document:
        return f"{get(document, 'http.route') or 'request'}: {document['status']}"
    return f"{document['log']['level']}: {document['message']}"


def _answer_chains(documents: list[Document], _start: datetime, _end: datetime) -> list[Row]:
    found = [each for each in select_stream(documents, "events") if "correlation_id" in each]
    rows = [
        {
            "correlation_id": name,
            "last_seen": format_shortest(max(get_time(each) for each in inside)),
            "services": ", ".join(sorted(set(list_values(inside, "service.name")))),
            "model_versions": ", ".join(sorted(set(list_values(inside, "model_version")))) or None,
            "requests": len(inside),
            "errors": len(select_status(inside, "error")),
            "latency_seconds": find_highest(list_values(inside, "latency_seconds")),
            "output_tokens": sum(list_values(inside, "gen_ai.usage.output_tokens")),
        }
        for (name,), inside in group_by(found, "correlation_id").items()
    ]
    rows.sort(key=lambda row: str(row["correlation_id"]))
    return sorted(rows, key=lambda row: datetime.fromisoformat(str(row["last_seen"])), reverse=True)


ANSWERS = {
    "slowest_requests": _answer_slowest_requests,
    "recent_errors": _answer_recent_errors,
    "audit_trail": _answer_audit_trail,
    "trace": _answer_trace,
    "chains": _answer_chains,
}
