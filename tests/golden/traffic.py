"""Number, status and tokens of requests."""

from collections import Counter, defaultdict
from datetime import datetime

from tests.golden.reading import (
    Document,
    Row,
    compute_by_version,
    compute_percentile,
    compute_percentiles,
    format_shortest,
    get,
    get_time,
    list_values,
    select_status,
    select_stream,
)


def compute_error_figures(documents: list[Document]) -> Row:
    """Return count, errors and their share."""
    errors = len(select_status(documents, "error"))
    return {"requests": len(documents), "errors": errors, "error_rate": errors / len(documents)}


def _answer_error_rate(documents: list[Document], _start: datetime, _end: datetime) -> list[Row]:
    return compute_by_version(select_stream(documents, "events"), compute_error_figures)


def _answer_requests_per_second(documents: list[Document], start: datetime, end: datetime) -> list[Row]:
    span_seconds = (end - start).total_seconds()
    return compute_by_version(
        select_stream(documents, "events"),
        lambda each: {"requests": len(each), "requests_per_second": len(each) / span_seconds},
    )


def _answer_requests_by_status(documents: list[Document], start: datetime, end: datetime) -> list[Row]:
    counted = Counter(each["status"] for each in select_stream(documents, "events"))
    span_seconds = (end - start).total_seconds()
    return [
        {"status": status, "requests": requests, "requests_per_second": requests / span_seconds}
        for status, requests in sorted(counted.items())
    ]


def _answer_token_counts(documents: list[Document], start: datetime, end: datetime) -> list[Row]:
    span_seconds = (end - start).total_seconds()
    return compute_by_version(
        select_stream(documents, "events"), lambda each: _compute_tokens_and_rates(each, span_seconds)
    )


def count_tokens(documents: list[Document]) -> Row:
    """Return the sums of tokens in and out."""
    names = ("input_tokens", "output_tokens")
    return {name: sum(list_values(documents, f"gen_ai.usage.{name}")) for name in names}


def _compute_tokens_and_rates(documents: list[Document], span_seconds: float) -> Row:
    sums = count_tokens(documents)
    return {**sums, **{f"{name}_per_second": count / span_seconds for name, count in sums.items()}}


def _answer_overview(documents: list[Document], start: datetime, end: datetime) -> list[Row]:
    span_seconds = (end - start).total_seconds()

    def figures(each: list[Document]) -> Row:
        first_tokens = list_values(each, "time_to_first_token_seconds")
        errors, sums = compute_error_figures(each), count_tokens(each)
        return {
            "requests": len(each),
            "requests_per_second": len(each) / span_seconds,
            "errors": errors["errors"],
            "error_rate": errors["error_rate"],
            **compute_percentiles(each, "latency_seconds"),
            "time_to_first_token_p50_seconds": compute_percentile(first_tokens, 50),
            **sums,
            "output_tokens_per_second": sums["output_tokens"] / span_seconds,
        }

    return compute_by_version(select_stream(documents, "events"), figures)


def _answer_errors_by_type(documents: list[Document], _start: datetime, _end: datetime) -> list[Row]:
    groups: defaultdict[tuple[str, str], list[datetime]] = defaultdict(list)
    for each in select_status(select_stream(documents, "events"), "error"):
        groups[each.get("model_version", "(none)"), get(each, "error.type") or "(none)"].append(get_time(each))
    ranked = sorted(groups.items(), key=lambda item: (-len(item[1]), item[0]))
    return [
        {
            "model_version": version,
            "error.type": kind,
            "errors": len(moments),
            "last_seen": format_shortest(max(moments)),
        }
        for (version, kind), moments in ranked
    ]


def _answer_status_codes(documents: list[Document], _start: datetime, _end: datetime) -> list[Row]:
    code = "http.response.status_code"
    counted = Counter(
        (each.get("model_version", "(none)"), each["status"], get(each, code))
        for each in select_stream(documents, "events")
    )
    ranked = sorted(counted.items(), key=lambda item: (item[0][0], -item[1], item[0][1], item[0][2] or 10**9))
    return [
        {"model_version": version, "status": status, code: error_code, "requests": requests}
        for (version, status, error_code), requests in ranked
    ]


def _answer_routes(documents: list[Document], _start: datetime, _end: datetime) -> list[Row]:
    groups: defaultdict[str, list[Document]] = defaultdict(list)
    for each in select_stream(documents, "events"):
        groups[get(each, "http.route") or "(none)"].append(each)
    return [
        {"http.route": route, **compute_error_figures(inside), **compute_percentiles(inside, "latency_seconds")}
        for route, inside in sorted(groups.items(), key=lambda item: (-len(item[1]), item[0]))
    ]


def _answer_callers(documents: list[Document], _start: datetime, _end: datetime) -> list[Row]:
    groups: defaultdict[tuple[str, str], list[Document]] = defaultdict(list)
    for each in select_stream(documents, "events"):
        groups[get(each, "client.id") or "(none)", each.get("model_version", "(none)")].append(each)
    ranked = sorted(groups.items(), key=lambda item: (-len(item[1]), item[0]))
    return [
        {
            "client.id": client,
            "model_version": version,
            "requests": len(inside),
            "errors": len(select_status(inside, "error")),
            "rejected": len(select_status(inside, "rejected")),
            **count_tokens(inside),
            "last_seen": format_shortest(max(get_time(each) for each in inside)),
        }
        for (client, version), inside in ranked
    ]


def _answer_error_budget_burn(documents: list[Document], start: datetime, end: datetime) -> list[Row]:
    recent_from = end - (end - start) / 12

    def figures(each: list[Document]) -> Row:
        recent = [event for event in each if get_time(event) >= recent_from]
        of_recent = compute_error_figures(recent) if recent else {"requests": 0, "errors": 0, "error_rate": None}
        return {**compute_error_figures(each), **{f"recent_{name}": figure for name, figure in of_recent.items()}}

    return compute_by_version(select_stream(documents, "events"), figures)


def _answer_quiet_services(documents: list[Document], _start: datetime, end: datetime) -> list[Row]:
    groups: defaultdict[str, list[datetime]] = defaultdict(list)
    for each in select_stream(documents, "events"):
        groups[get(each, "service.name") or "(none)"].append(get_time(each))
    rows = [
        {
            "service.name": service,
            "requests": len(moments),
            "last_seen": format_shortest(max(moments)),
            "quiet_seconds": (end - max(moments)).total_seconds(),
            "mean_gap_seconds": (max(moments) - min(moments)).total_seconds() / (len(moments) - 1)
            if len(moments) > 1
            else None,
        }
        for service, moments in groups.items()
    ]
    return sorted(rows, key=lambda row: (-row["quiet_seconds"], row["service.name"]))


ANSWERS = {
    "error_rate": _answer_error_rate,
    "requests_per_second": _answer_requests_per_second,
    "requests_by_status": _answer_requests_by_status,
    "token_counts": _answer_token_counts,
    "overview": _answer_overview,
    "errors_by_type": _answer_errors_by_type,
    "status_codes": _answer_status_codes,
    "routes": _answer_routes,
    "callers": _answer_callers,
    "error_budget_burn": _answer_error_budget_burn,
    "quiet_services": _answer_quiet_services,
}
