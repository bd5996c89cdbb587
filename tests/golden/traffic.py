"""Number, status and tokens of requests."""

from collections import Counter, defaultdict
from datetime import datetime

from tests.golden.reading import (
    Document,
    Row,
    by_version,
    get,
    of_stream,
    percentile,
    percentiles,
    shortest,
    values,
    when,
    with_status,
)


def error_figures(documents: list[Document]) -> Row:
    """Return count, errors and their share."""
    errors = len(with_status(documents, "error"))
    return {"requests": len(documents), "errors": errors, "error_rate": errors / len(documents)}


def _error_rate(documents: list[Document], _start: datetime, _end: datetime) -> list[Row]:
    return by_version(of_stream(documents, "events"), error_figures)


def _requests_per_second(documents: list[Document], start: datetime, end: datetime) -> list[Row]:
    span_seconds = (end - start).total_seconds()
    return by_version(
        of_stream(documents, "events"),
        lambda each: {"requests": len(each), "requests_per_second": len(each) / span_seconds},
    )


def _requests_by_status(documents: list[Document], start: datetime, end: datetime) -> list[Row]:
    counted = Counter(each["status"] for each in of_stream(documents, "events"))
    span_seconds = (end - start).total_seconds()
    return [
        {"status": status, "requests": requests, "requests_per_second": requests / span_seconds}
        for status, requests in sorted(counted.items())
    ]


def _token_counts(documents: list[Document], start: datetime, end: datetime) -> list[Row]:
    span_seconds = (end - start).total_seconds()
    return by_version(of_stream(documents, "events"), lambda each: _tokens_and_rates(each, span_seconds))


def tokens(documents: list[Document]) -> Row:
    """Return the sums of tokens in and out."""
    names = ("input_tokens", "output_tokens")
    return {name: sum(values(documents, f"gen_ai.usage.{name}")) for name in names}


def _tokens_and_rates(documents: list[Document], span_seconds: float) -> Row:
    sums = tokens(documents)
    return {**sums, **{f"{name}_per_second": count / span_seconds for name, count in sums.items()}}


def _overview(documents: list[Document], start: datetime, end: datetime) -> list[Row]:
    span_seconds = (end - start).total_seconds()

    def figures(each: list[Document]) -> Row:
        first_tokens = values(each, "time_to_first_token_seconds")
        errors, sums = error_figures(each), tokens(each)
        return {
            "requests": len(each),
            "requests_per_second": len(each) / span_seconds,
            "errors": errors["errors"],
            "error_rate": errors["error_rate"],
            **percentiles(each, "latency_seconds"),
            "time_to_first_token_p50_seconds": percentile(first_tokens, 50),
            **sums,
            "output_tokens_per_second": sums["output_tokens"] / span_seconds,
        }

    return by_version(of_stream(documents, "events"), figures)


def _errors_by_type(documents: list[Document], _start: datetime, _end: datetime) -> list[Row]:
    groups: defaultdict[tuple[str, str], list[datetime]] = defaultdict(list)
    for each in with_status(of_stream(documents, "events"), "error"):
        groups[each.get("model_version", "(none)"), get(each, "error.type") or "(none)"].append(when(each))
    ranked = sorted(groups.items(), key=lambda item: (-len(item[1]), item[0]))
    return [
        {"model_version": version, "error.type": kind, "errors": len(moments), "last_seen": shortest(max(moments))}
        for (version, kind), moments in ranked
    ]


def _status_codes(documents: list[Document], _start: datetime, _end: datetime) -> list[Row]:
    code = "http.response.status_code"
    counted = Counter(
        (each.get("model_version", "(none)"), each["status"], get(each, code))
        for each in of_stream(documents, "events")
    )
    ranked = sorted(counted.items(), key=lambda item: (item[0][0], -item[1], item[0][1], item[0][2] or 10**9))
    return [
        {"model_version": version, "status": status, code: error_code, "requests": requests}
        for (version, status, error_code), requests in ranked
    ]


def _routes(documents: list[Document], _start: datetime, _end: datetime) -> list[Row]:
    groups: defaultdict[str, list[Document]] = defaultdict(list)
    for each in of_stream(documents, "events"):
        groups[get(each, "http.route") or "(none)"].append(each)
    return [
        {"http.route": route, **error_figures(inside), **percentiles(inside, "latency_seconds")}
        for route, inside in sorted(groups.items(), key=lambda item: (-len(item[1]), item[0]))
    ]


def _callers(documents: list[Document], _start: datetime, _end: datetime) -> list[Row]:
    groups: defaultdict[tuple[str, str], list[Document]] = defaultdict(list)
    for each in of_stream(documents, "events"):
        groups[get(each, "client.id") or "(none)", each.get("model_version", "(none)")].append(each)
    ranked = sorted(groups.items(), key=lambda item: (-len(item[1]), item[0]))
    return [
        {
            "client.id": client,
            "model_version": version,
            "requests": len(inside),
            "errors": len(with_status(inside, "error")),
            "rejected": len(with_status(inside, "rejected")),
            **tokens(inside),
            "last_seen": shortest(max(when(each) for each in inside)),
        }
        for (client, version), inside in ranked
    ]


def _error_budget_burn(documents: list[Document], start: datetime, end: datetime) -> list[Row]:
    recent_from = end - (end - start) / 12

    def figures(each: list[Document]) -> Row:
        recent = [event for event in each if when(event) >= recent_from]
        of_recent = error_figures(recent) if recent else {"requests": 0, "errors": 0, "error_rate": None}
        return {**error_figures(each), **{f"recent_{name}": figure for name, figure in of_recent.items()}}

    return by_version(of_stream(documents, "events"), figures)


def _quiet_services(documents: list[Document], _start: datetime, end: datetime) -> list[Row]:
    groups: defaultdict[str, list[datetime]] = defaultdict(list)
    for each in of_stream(documents, "events"):
        groups[get(each, "service.name") or "(none)"].append(when(each))
    rows = [
        {
            "service.name": service,
            "requests": len(moments),
            "last_seen": shortest(max(moments)),
            "quiet_seconds": (end - max(moments)).total_seconds(),
            "mean_gap_seconds": (max(moments) - min(moments)).total_seconds() / (len(moments) - 1)
            if len(moments) > 1
            else None,
        }
        for service, moments in groups.items()
    ]
    return sorted(rows, key=lambda row: (-row["quiet_seconds"], row["service.name"]))


ANSWERS = {
    "error_rate": _error_rate,
    "requests_per_second": _requests_per_second,
    "requests_by_status": _requests_by_status,
    "token_counts": _token_counts,
    "overview": _overview,
    "errors_by_type": _errors_by_type,
    "status_codes": _status_codes,
    "routes": _routes,
    "callers": _callers,
    "error_budget_burn": _error_budget_burn,
    "quiet_services": _quiet_services,
}
