"""Heartbeats of services, shippers and Fluentds."""

from datetime import datetime
from typing import Any

from tests.golden.reading import (
    Document,
    Row,
    compute_mean,
    find_highest,
    format_shortest,
    get,
    get_time,
    group_by,
    list_values,
    select_stream,
    sum_known,
)


def _answer_saturation(documents: list[Document], _start: datetime, _end: datetime) -> list[Row]:
    beats = [each for each in select_stream(documents, "health") if "events_written" in each]
    rows = []
    for (service,), of_service in sorted(group_by(beats, "service.name").items()):
        instances = group_by(of_service, "service.instance.id").values()

        def means(field: str, instances: Any = instances) -> list[float | None]:
            return [compute_mean(list_values(inside, field)) for inside in instances]

        rows.append(
            {
                "service.name": service,
                "instances": len(instances),
                "active_requests": sum_known(means("active_requests")),
                "queue_requests": sum_known(means("gauges.queue_requests")),
                "cpu_utilization": sum_known(means("process.cpu.utilization")),
                "memory_usage_bytes": sum_known(means("process.memory.usage_bytes")),
                "event_loop_lag_seconds": find_highest(means("event_loop.lag_seconds")),
                "gpu_utilization": find_highest(means("gpu.utilization")),
                "gpu_memory_usage_bytes": find_highest(means("gpu.memory_usage_bytes")),
            }
        )
    return rows


def _answer_backlog(documents: list[Document], _start: datetime, _end: datetime) -> list[Row]:
    beats = select_stream(documents, "health")
    if not beats:
        return []
    processes = group_by(beats, "service.instance.id").values()

    def highest_of_each(field: str) -> list[float | None]:
        return [find_highest(list_values(inside, field)) for inside in processes]

    return [
        {
            "unshipped_bytes": sum_known(highest_of_each("events_unshipped_bytes")),
            "dropped": sum_known(highest_of_each("events_dropped")),
            "behind_events": sum_known(highest_of_each("shipper.behind_events")),
            "behind_seconds": find_highest(highest_of_each("shipper.behind_seconds")),
            "refused": sum_known([*highest_of_each("shipper.refused"), *highest_of_each("fluentd.dead_letters")]),
        }
    ]


def _answer_shippers(documents: list[Document], _start: datetime, end: datetime) -> list[Row]:
    rows = []
    for name, beats in _group_by_shipper(documents).items():
        known = [beat for beat in beats if get(beat, "shipper.behind_events") is not None]
        rows.append(
            {
                "service.instance.id": name,
                "state": "stopped" if beats[-1]["message"] == "shipper_stopped" else "running",
                "last_heartbeat": format_shortest(get_time(beats[-1])),
                "silent_seconds": (end - get_time(beats[-1])).total_seconds(),
                "shipped": max(list_values(beats, "shipper.shipped")),
                "refused": max(list_values(beats, "shipper.refused")),
                "lost_bytes": max(list_values(beats, "shipper.lost_bytes")),
                "retries": max(list_values(beats, "shipper.retries")),
                "behind_events": get(known[-1], "shipper.behind_events") if known else None,
                "behind_seconds": get(beats[-1], "shipper.behind_seconds"),
                "waiting": "; ".join(sorted(get(beats[-1], "shipper.waiting") or [])) or None,
            }
        )
    return sorted(rows, key=lambda row: (-row["refused"], row["service.instance.id"]))


def _answer_clock_skew(documents: list[Document], _start: datetime, _end: datetime) -> list[Row]:
    rows = []
    for name, beats in _group_by_shipper(documents).items():
        compared = [beat for beat in beats if get(beat, "shipper.clock_skew_seconds") is not None]
        skews = list_values(compared, "shipper.clock_skew_seconds")
        if not skews:
            continue
        rows.append(
            {
                "service.instance.id": name,
                "state": "stopped" if compared[-1]["message"] == "shipper_stopped" else "running",
                "last_comparison": format_shortest(get_time(compared[-1])),
                "skew_seconds": abs(skews[-1]),
                "clock_skew_seconds": skews[-1],
                "most_ahead_seconds": max(*skews, 0.0),
                "most_behind_seconds": -min(*skews, 0.0),
            }
        )
    return sorted(rows, key=lambda row: (-row["skew_seconds"], row["service.instance.id"]))


def _answer_refused_of_late(documents: list[Document], start: datetime, end: datetime) -> list[Row]:
    middle = end - (end - start) / 2
    letters = [each for each in select_stream(documents, "health") if get(each, "fluentd.dead_letters") is not None]
    fluentds = {
        name: sorted(inside, key=get_time) for (name,), inside in group_by(letters, "service.instance.id").items()
    }
    rows = []
    for name, beats in (_group_by_shipper(documents) | fluentds).items():
        field = "fluentd.dead_letters" if name in fluentds else "shipper.refused"
        before = max(list_values([beat for beat in beats if get_time(beat) < middle], field), default=0)
        rows.append(
            {
                "service.instance.id": name,
                "last_heartbeat": format_shortest(get_time(beats[-1])),
                "refused": max(list_values(beats, field)) - before,
                "refused_before": before,
                "shipped": max(list_values(beats, "shipper.shipped"), default=None),
            }
        )
    return sorted(rows, key=lambda row: (-row["refused"], row["service.instance.id"]))


def _answer_fluentd(documents: list[Document], _start: datetime, end: datetime) -> list[Row]:
    beats = [each for each in select_stream(documents, "health") if "fluentd" in each]
    rows = []
    for (name,), inside in group_by(beats, "service.instance.id").items():
        last = max(map(get_time, inside))
        rows.append(
            {
                "service.instance.id": name,
                "last_heartbeat": format_shortest(last),
                "silent_seconds": (end - last).total_seconds(),
                "retry_count": max(list_values(inside, "fluentd.retry_count")),
                "dead_letters": max(list_values(inside, "fluentd.dead_letters")),
                "queue_chunks": max(list_values(inside, "fluentd.queue_chunks")),
                "queue_bytes": max(list_values(inside, "fluentd.queue_bytes")),
                "oldest_seconds": max(list_values(inside, "fluentd.oldest_seconds")),
                "buffer_free_ratio": min(list_values(inside, "fluentd.buffer_free_ratio")),
            }
        )
    return sorted(rows, key=lambda row: (row["buffer_free_ratio"], row["service.instance.id"]))


def _group_by_shipper(documents: list[Document]) -> dict[str, list[Document]]:
    beats = [each for each in select_stream(documents, "health") if "shipper" in each]
    return {name: sorted(inside, key=get_time) for (name,), inside in group_by(beats, "service.instance.id").items()}


ANSWERS = {
    "saturation": _answer_saturation,
    "backlog": _answer_backlog,
    "shippers": _answer_shippers,
    "clock_skew": _answer_clock_skew,
    "refused_of_late": _answer_refused_of_late,
    "fluentd": _answer_fluentd,
}
