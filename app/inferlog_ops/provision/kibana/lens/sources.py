"""
Columns of the queries as Lens operations: the only place that connects the query files with form-based Lens.

An entry of `SOURCES` makes the panels of its query form-based: its data view, the filter of its first ``WHERE``, and
for each column that a panel shows a `Figure`, a `Group`, or `AbsentColumn` with the reason. An entry of `LISTS` makes
its tables lists of documents, as in Discover. A query without an entry needs nothing here: its panels are ES|QL since
Kibana 8.16, and a text with the terminal's command before. The preview page computes figures by some of them too.
docs/kibana.md lists the queries that Lens cannot express, with the reasons.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from inferlog_ops.provision.kibana.lens.buckets import Bands, Bucket, Terms, TimeSlices
from inferlog_ops.provision.kibana.lens.expressions import (
    Expression,
    FunctionCall,
    average,
    call,
    count,
    distinct,
    highest,
    latest,
    latest_text,
    lowest,
    overall_min,
    overall_sum,
    percentile,
    total,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """
    A figure of each group.

    Attributes:
        expression: Its computation.
        label: Label in Kibana where the file's does not fit; empty for the file's.
        over: Field whose groups are computed first and then added up; empty for a direct figure.
    """

    expression: Expression
    label: str = ""
    over: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """A bucket with a label where the file's does not fit."""

    bucket: Bucket
    label: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class AbsentColumn:
    """A column that Lens cannot compute: tables leave it out, other charts need ES|QL."""

    reason: str


LensColumn = Figure | Group | AbsentColumn


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """
    A query in terms of Lens.

    Attributes:
        view: Id of the data view.
        kql: Filter of the documents.
        columns: Columns by their name in the query.
        sort: Column that sorts a table, the highest first; empty for the order of the groups.
    """

    view: str
    kql: str = ""
    columns: Mapping[str, LensColumn]
    sort: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class DocumentList:
    """
    A query that lists documents, with the names of their fields as columns.

    Lens could only group them by their id. Elasticsearch then numbers all ids of an index again after each refresh,
    also those outside the range.

    Attributes:
        view: Id of the data view.
        kql: Filter of the documents.
        sort: Field that sorts them, the highest first.
        most_documents: Number of documents in the list.
    """

    view: str
    kql: str
    sort: str
    most_documents: int


EVENTS, HEALTH, ALERTS = "inferlog-events", "inferlog-health", "inferlog-alerts"
DELIVERY = "inferlog-delivery"
"""Data view of events and heartbeats together."""

_MODEL_VERSION, _INSTANCE, _TIME = "model_version", "service.instance.id", "@timestamp"


def _build_figure(expression: Expression, label: str = "") -> Figure:
    return Figure(expression=expression, label=label)


def _build_group(name: str, *, size: int = 100, label: str = "", complete: bool = True) -> Group:
    return Group(bucket=Terms(field=name, size=size, complete=complete), label=label)


def _sum_instances(expression: Expression) -> Figure:
    return Figure(expression=expression, over=_INSTANCE)


_requests = count()
_errors = count(kql='status: "error"')
_error_rate = _build_figure(_errors / _requests)
_first_seen = _build_figure(lowest(_TIME, kind="date"))
_last_seen = _build_figure(highest(_TIME, kind="date"))

_VERSION: dict[str, LensColumn] = {_MODEL_VERSION: _build_group(_MODEL_VERSION, size=50)}
_VERSION_OVER_TIME: dict[str, LensColumn] = {
    "bucket": Group(bucket=TimeSlices()),
    _MODEL_VERSION: _build_group(_MODEL_VERSION, size=20),
}
_TRAFFIC: dict[str, LensColumn] = {
    "requests": _build_figure(_requests),
    "requests_per_second": _build_figure(count(per="s")),
    "errors": _build_figure(_errors),
    "error_rate": _error_rate,
}
_TOKENS: dict[str, LensColumn] = {
    "input_tokens": _build_figure(total("gen_ai.usage.input_tokens")),
    "output_tokens": _build_figure(total("gen_ai.usage.output_tokens")),
    "input_tokens_per_second": _build_figure(total("gen_ai.usage.input_tokens", per="s")),
    "output_tokens_per_second": _build_figure(total("gen_ai.usage.output_tokens", per="s")),
}
_COSTS: dict[str, LensColumn] = {
    "requests": _build_figure(_requests),
    "cost_usd": _build_figure(total("cost_usd")),
    "cost_usd_per_hour": _build_figure(total("cost_usd", per="h")),
    "cost_usd_per_1000_requests": _build_figure(total("cost_usd") / _requests * 1000),
}


def _build_percentiles(name: str) -> dict[str, LensColumn]:
    return {f"p{percent}_seconds": _build_figure(percentile(name, percent)) for percent in (50, 95, 99)}


_LATENCY = _build_percentiles("latency_seconds")


def _build_wilson_bound(sign: int) -> FunctionCall:
    """Return one end of Wilson's 95 % interval of the error rate."""
    z = 1.959963984540054
    rate = _errors / _requests
    centre = (rate + call("divide", z * z, call("multiply", 2, _requests))) / (call("divide", z * z, _requests) + 1)
    inner = rate * call("subtract", 1, rate) / _requests + call(
        "divide", z * z, call("multiply", 4, _requests, _requests)
    )
    reach = call("divide", z, call("divide", z * z, _requests) + 1) * call("sqrt", inner)
    return call("pick_max", centre - reach, 0) if sign < 0 else call("pick_min", centre + reach, 1)


# Numbers of an instance's events, as in dashboards/queries/instances.esql. Lens does not know the start of the range
# and takes the first document in the range for it. The time that Kibana needs to read a formula grows fourfold with
# each level of nested functions: clamped differences, which are 0 or 1, take the place of conditions.
_found = count("event.sequence")
_first_found = call("defaults", lowest("event.sequence"), 0)
_after_last_found = call("defaults", highest("event.sequence"), -1) + 1
_dropped_before = call("defaults", lowest("events_dropped"), 0)
_dropped = call("defaults", highest("events_dropped"), 0)
_counted_before = call("defaults", lowest("events_written"), 0) + _dropped_before
_counted = call("defaults", highest("events_written"), 0) + _dropped
_range_start = overall_min(lowest(_TIME, kind="date") * 1)  # times 1: Lens takes no dates there
_began_before = call("clamp", _range_start - call("defaults", lowest("instance_started", kind="date"), 0), 0, 1)
_has_no_events = call("clamp", call("subtract", 1, _found), 0, 1)
_first_number = (_first_found + _counted_before * _has_no_events) * _began_before
_written = call("pick_max", _counted, _after_last_found) - _first_number
_holes = _after_last_found - _first_found * _began_before - _found
_unseen = call("pick_max", _first_found - _counted_before, 0)
_known_drops = _dropped - (_dropped_before + _unseen) * _began_before
_lost = call("clamp", _known_drops, _holes, _written - _found)
_not_found_yet = _written - _found - _lost

_NO_RANGE_END = AbsentColumn(
    reason="Lens does not know the end of the range; the time of the last heartbeat is a column"
)
_ALL_VALUES = AbsentColumn(
    reason="Lens does not list all values of a field; a click on the correlation id shows its chain"
)


def _build_state(*, heartbeats: str = "") -> Figure:
    """Return the message of the last heartbeat, which reports a stop: a formula is a number, not a word."""
    return _build_figure(latest_text("message", kql=heartbeats), "last message")


def _build_process_figure(name: str) -> Figure:
    """Return the mean of a heartbeat's figure: a sum over processes is the height of their stack."""
    return _build_figure(average(name))


SOURCES: dict[str, Source] = {
    # Traffic
    "overview": Source(
        view=EVENTS,
        columns={
            **_VERSION, **_TRAFFIC, **_LATENCY, **_TOKENS,
            "time_to_first_token_p50_seconds": _build_figure(percentile("time_to_first_token_seconds", 50)),
        },
    ),
    "p99_latency": Source(view=EVENTS, columns={**_VERSION, **_LATENCY, "requests": _build_figure(_requests)}),
    "p99_latency_of_successes": Source(
        view=EVENTS, kql='status: "success"', columns={**_VERSION, **_LATENCY, "requests": _build_figure(_requests)}
    ),
    "p99_latency_over_time": Source(
        view=EVENTS, columns={**_VERSION_OVER_TIME, **_LATENCY, "requests": _build_figure(_requests)}
    ),
    "p99_alone_over_time": Source(view=EVENTS, columns={**_VERSION_OVER_TIME, **_LATENCY}),
    "error_rate": Source(view=EVENTS, columns={**_VERSION, **_TRAFFIC}),
    "error_rate_over_time": Source(view=EVENTS, columns={**_VERSION_OVER_TIME, **_TRAFFIC}),
    "requests_per_second": Source(view=EVENTS, columns={**_VERSION, **_TRAFFIC}),
    "requests_per_second_over_time": Source(view=EVENTS, columns={**_VERSION_OVER_TIME, **_TRAFFIC}),
    "requests_by_status_over_time": Source(
        view=EVENTS, columns={"bucket": Group(bucket=TimeSlices()), "status": _build_group("status"), **_TRAFFIC}
    ),
    "token_counts": Source(view=EVENTS, columns={**_VERSION, **_TOKENS}),
    "token_counts_over_time": Source(view=EVENTS, columns={**_VERSION_OVER_TIME, **_TOKENS}),
    "time_to_first_token": Source(
        view=EVENTS,
        kql="time_to_first_token_seconds: *",
        columns={**_VERSION, **_build_percentiles("time_to_first_token_seconds"), "requests": _build_figure(_requests)},
    ),
    "time_to_first_token_over_time": Source(
        view=EVENTS,
        kql="time_to_first_token_seconds: *",
        columns={
            **_VERSION_OVER_TIME, **_build_percentiles("time_to_first_token_seconds"),
            "requests": _build_figure(_requests),
        },
    ),
    "costs": Source(view=EVENTS, kql="cost_usd: *", columns={**_VERSION, **_COSTS}),
    "costs_over_time": Source(view=EVENTS, kql="cost_usd: *", columns={**_VERSION_OVER_TIME, **_COSTS}),
    "latency_bands_over_time": Source(
        view=EVENTS,
        kql="latency_seconds: *",
        columns={
            "bucket": Group(bucket=TimeSlices()),
            "from_seconds": Group(
                bucket=Bands(field="latency_seconds", starts=(0, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30))
            ),
            "requests": _build_figure(_requests),
        },
    ),
    # Who, where, and which errors
    "routes": Source(view=EVENTS, columns={"http.route": _build_group("http.route"), **_TRAFFIC, **_LATENCY}),
    "callers": Source(
        view=EVENTS,
        columns={
            "client.id": _build_group("client.id"), **_VERSION, **_TRAFFIC, **_TOKENS,
            "rejected": _build_figure(count(kql='status: "rejected"')),
            "last_seen": _last_seen,
        },
    ),
    "errors_by_type": Source(
        view=EVENTS,
        kql='status: "error"',
        columns={
            **_VERSION, "error.type": _build_group("error.type"),
            "errors": _build_figure(_requests), "last_seen": _last_seen,
        },
    ),
    "chains": Source(
        view=EVENTS,
        kql="correlation_id: *",
        sort="last_seen",
        columns={
            "correlation_id": Group(
                bucket=Terms(field="correlation_id", order=highest(_TIME, kind="date"), complete=False)
            ),
            "last_seen": _last_seen,
            "services": _ALL_VALUES,
            "model_versions": _ALL_VALUES,
            "requests": _build_figure(_requests),
            "errors": _build_figure(_errors),
            "latency_seconds": _build_figure(highest("latency_seconds")),
            "output_tokens": _build_figure(total("gen_ai.usage.output_tokens")),
        },
    ),
    "canary_versions": Source(
        view=EVENTS,
        kql="model_version: *",
        columns={
            **_VERSION, **_TRAFFIC,
            "role": AbsentColumn(reason="a comparison of all versions, shown as text; the verdict names both versions"),
            "request_share": _build_figure(_requests / overall_sum(_requests)),
            "first_seen": _first_seen,
            "last_seen": _last_seen,
            "error_rate_low": _build_figure(_build_wilson_bound(-1)),
            "error_rate_high": _build_figure(_build_wilson_bound(1)),
        },
    ),
    # Pipeline
    "delivery": Source(
        view=DELIVERY,
        kql="event.sequence: * or events_written: *",
        columns={
            "instances": _sum_instances(distinct(_INSTANCE)),
            "written": _sum_instances(_written),
            "found": _sum_instances(_found),
            "found_share": _sum_instances(_found / overall_sum(_written)),
            "whole": _sum_instances(call("divide", distinct(_INSTANCE), overall_sum(distinct(_INSTANCE)))),
            "lost": _sum_instances(_lost),
            "not_found_yet": _sum_instances(_not_found_yet),
            "dropped": _sum_instances(_dropped),
            "longest_silence_seconds": _NO_RANGE_END,
        },
    ),
    "instances": Source(
        view=DELIVERY,
        kql="event.sequence: * or events_written: *",
        sort="lost",
        columns={
            "service.name": _build_group("service.name"),
            _INSTANCE: _build_group(_INSTANCE, size=1000),
            "state": _build_state(heartbeats="events_written: *"),
            "last_heartbeat": _build_figure(highest(_TIME, kql="events_written: *", kind="date")),
            "silent_seconds": _NO_RANGE_END,
            "written": _build_figure(_written),
            "found": _build_figure(_found),
            "lost": _build_figure(_lost),
            "not_found_yet": _build_figure(_not_found_yet),
            "dropped": _build_figure(highest("events_dropped")),
        },
    ),
    "lost_events": Source(
        view=DELIVERY,
        kql="event.sequence: * or events_written: *",
        sort="lost",
        columns={
            _INSTANCE: _build_group(_INSTANCE, size=1000),
            "expected": _build_figure(_found + _lost),
            "found": _build_figure(_found),
            "lost": _build_figure(_lost),
            "not_found_yet": _build_figure(_not_found_yet),
        },
    ),
    "backlog_over_time": Source(
        view=HEALTH,
        columns={
            "bucket": Group(bucket=TimeSlices()),
            "unshipped_bytes": _sum_instances(highest("events_unshipped_bytes")),
            "dropped": _sum_instances(highest("events_dropped")),
            "behind_events": _sum_instances(highest("shipper.behind_events")),
            "behind_seconds": _build_figure(highest("shipper.behind_seconds")),
            "refused": _sum_instances(
                call("defaults", highest("shipper.refused"), 0) + call("defaults", highest("fluentd.dead_letters"), 0)
            ),
        },
    ),
    "shippers": Source(
        view=HEALTH,
        kql="shipper.shipped: *",
        sort="refused",
        columns={
            _INSTANCE: _build_group(_INSTANCE, size=1000),
            "state": _build_state(),
            "last_heartbeat": _last_seen,
            "waiting": _build_figure(latest_text("shipper.waiting")),
            "silent_seconds": _NO_RANGE_END,
            "shipped": _build_figure(highest("shipper.shipped")),
            "refused": _build_figure(highest("shipper.refused")),
            "lost_bytes": _build_figure(highest("shipper.lost_bytes")),
            "retries": _build_figure(highest("shipper.retries")),
            "behind_events": _build_figure(latest("shipper.behind_events")),
            "behind_seconds": _build_figure(latest("shipper.behind_seconds")),
        },
    ),
    "clock_skew": Source(
        view=HEALTH,
        kql="shipper.clock_skew_seconds: *",
        sort="skew_seconds",
        columns={
            _INSTANCE: _build_group(_INSTANCE, size=1000),
            "state": _build_state(),
            "last_comparison": _last_seen,
            "skew_seconds": _build_figure(call("abs", latest("shipper.clock_skew_seconds"))),
            "most_ahead_seconds": _build_figure(call("pick_max", highest("shipper.clock_skew_seconds"), 0)),
            "most_behind_seconds": _build_figure(
                call("pick_max", call("subtract", 0, lowest("shipper.clock_skew_seconds")), 0)
            ),
        },
    ),
    "fluentd": Source(
        view=HEALTH,
        kql="fluentd.retry_count: * or fluentd.dead_letters: *",
        sort="last_heartbeat",
        columns={
            _INSTANCE: _build_group(_INSTANCE, size=1000),
            "last_heartbeat": _last_seen,
            "silent_seconds": _NO_RANGE_END,
            "retry_count": _build_figure(highest("fluentd.retry_count")),
            "dead_letters": _build_figure(highest("fluentd.dead_letters")),
            "queue_chunks": _build_figure(highest("fluentd.queue_chunks")),
            "queue_bytes": _build_figure(highest("fluentd.queue_bytes")),
            "oldest_seconds": _build_figure(highest("fluentd.oldest_seconds")),
            "buffer_free_ratio": _build_figure(lowest("fluentd.buffer_free_ratio")),
        },
    ),
    "saturation_over_time": Source(
        view=HEALTH,
        kql="events_written: *",
        columns={
            "bucket": Group(bucket=TimeSlices()),
            "service.name": _build_group(_INSTANCE, label="process", complete=False),
            "active_requests": _build_process_figure("active_requests"),
            "queue_requests": _build_process_figure("gauges.queue_requests"),
            "cpu_utilization": _build_process_figure("process.cpu.utilization"),
            "memory_usage_bytes": _build_process_figure("process.memory.usage_bytes"),
            "event_loop_lag_seconds": _build_process_figure("event_loop.lag_seconds"),
            "gpu_utilization": _build_process_figure("gpu.utilization"),
            "gpu_memory_usage_bytes": _build_process_figure("gpu.memory_usage_bytes"),
        },
    ),
    # Alerts
    "alerts": Source(
        view=ALERTS,
        sort="last_fired",
        columns={
            "state": AbsentColumn(
                reason="Lens does not know the end of the range; the time of the last firing is a column"
            ),
            "severity": _build_group("severity"),
            "rule.name": _build_group("rule.name"),
            "group": _build_group("group"),
            "figures": _build_figure(latest_text("figures")),
            "last_fired": _last_seen,
            "threshold": _build_figure(latest("threshold")),
        },
    ),
    "alerts_over_time": Source(
        view=ALERTS,
        columns={
            "bucket": Group(bucket=TimeSlices()),
            "rule.name": _build_group("rule.name"),
            "alerts": _build_figure(distinct("group")),
        },
    ),
}  # fmt: skip

LISTS: Mapping[str, DocumentList] = {
    "slowest_requests": DocumentList(view=EVENTS, kql="latency_seconds: *", sort="latency_seconds", most_documents=20),
    "recent_errors": DocumentList(view=EVENTS, kql='status: "error"', sort=_TIME, most_documents=20),
}
