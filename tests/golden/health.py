"""Heartbeats of services, shippers and Fluentds."""

from datetime import datetime
from typing import Any

from tests.golden.reading import Document, Row, get, grouped, highest, mean, of_stream, shortest, total, values, when


def _saturation(documents: list[Document], _start: datetime, _end: datetime) -> list[Row]:
    beats = [each for each in of_stream(documents, "health") if "events_written" in each]
    rows = []
    for (service,), of_service in sorted(grouped(beats, "service.name").items()):
        instances = grouped(of_service, "service.instance.id").values()

        def means(field: str, instances: Any = instances) -> list[float | None]:
            return [mean(values(inside, field)) for inside in instances]

        rows.append(
            {
                "service.name": service,
                "instances": len(instances),
                "active_requests": total(means("active_requests")),
                "queue_requests": total(means("gauges.queue_requests")),
                "cpu_utilization": total(means("process.cpu.utilization")),
                "memory_usage_bytes": total(means("process.memory.usage_bytes")),
                "event_loop_lag_seconds": highest(means("event_loop.lag_seconds")),
                "gpu_utilization": highest(means("gpu.utilization")),
                "gpu_memory_usage_bytes": highest(means("gpu.memory_usage_bytes")),
            }
        )
    return rows


def _backlog(documents: list[Document], _start: datetime, _end: datetime) -> list[Row]:
    beats = of_stream(documents, "health")
    if not beats:
        return []
    processes = grouped(beats, "service.instance.id").values()

    def highest_of_each(field: str) -> list[float | None]:
        return [highest(values(inside, field)) for inside in processes]

    return [
        {
            "unshipped_bytes": total(highest_of_each("events_unshipped_bytes")),
            "dropped": total(highest_of_each("events_dropped")),
            "behind_events": total(highest_of_each("shipper.behind_events")),
            "behind_seconds": highest(highest_of_each("shipper.behind_seconds")),
            "refused": total([*highest_of_each("shipper.refused"), *highest_of_each("fluentd.dead_letters")]),
        }
    ]


def _shippers(documents: list[Document], _start: datetime, end: datetime) -> list[Row]:
    rows = []
    for name, beats in _by_shipper(documents).items():
        known = [beat for beat in beats if get(beat, "shipper.behind_events") is not None]
        rows.append(
            {
                "service.instance.id": name,
                "state": "stopped" if any(beat["message"] == "shipper_stopped" for beat in beats) else "running",
                "last_heartbeat": shortest(when(beats[-1])),
                "silent_seconds": (end - when(beats[-1])).total_seconds(),
                "shipped": max(values(beats, "shipper.shipped")),
                "refused": max(values(beats, "shipper.refused")),
                "lost_bytes": max(values(beats, "shipper.lost_bytes")),
                "retries": max(values(beats, "shipper.retries")),
                "behind_events": get(known[-1], "shipper.behind_events") if known else None,
                "behind_seconds": get(beats[-1], "shipper.behind_seconds"),
                "waiting": "; ".join(sorted(get(beats[-1], "shipper.waiting") or [])) or None,
            }
        )
    return sorted(rows, key=lambda row: (-row["refused"], row["service.instance.id"]))


def _clock_skew(documents: list[Document], _start: datetime, _end: datetime) -> list[Row]:
    rows = []
    for name, beats in _by_shipper(documents).items():
        compared = [beat for beat in beats if get(beat, "shipper.clock_skew_seconds") is not None]
        skews = values(compared, "shipper.clock_skew_seconds")
        if not skews:
            continue
        rows.append(
            {
                "service.instance.id": name,
                "state": "stopped" if any(beat["message"] == "shipper_stopped" for beat in compared) else "running",
                "last_comparison": shortest(when(compared[-1])),
                "skew_seconds": abs(skews[-1]),
                "clock_skew_seconds": skews[-1],
                "most_ahead_seconds": max(*skews, 0.0),
                "most_behind_seconds": -min(*skews, 0.0),
            }
        )
    return sorted(rows, key=lambda row: (-row["skew_seconds"], row["service.instance.id"]))


def _refused_of_late(documents: list[Document], start: datetime, end: datetime) -> list[Row]:
    middle = end - (end - start) / 2
    letters = [each for each in of_stream(documents, "health") if get(each, "fluentd.dead_letters") is not None]
    fluentds = {name: sorted(inside, key=when) for (name,), inside in grouped(letters, "service.instance.id").items()}
    rows = []
    for name, beats in (_by_shipper(documents) | fluentds).items():
        field = "fluentd.dead_letters" if name in fluentds else "shipper.refused"
        before = max(values([beat for beat in beats if when(beat) < middle], field), default=0)
        rows.append(
            {
                "service.instance.id": name,
                "last_heartbeat": shortest(when(beats[-1])),
                "refused": max(values(beats, field)) - before,
                "refused_before": before,
                "shipped": max(values(beats, "shipper.shipped"), default=None),
            }
        )
    return sorted(rows, key=lambda row: (-row["refused"], row["service.instance.id"]))


def _fluentds(documents: list[Document], _start: datetime, end: datetime) -> list[Row]:
    beats = [each for each in of_stream(documents, "health") if "fluentd" in each]
    rows = []
    for (name,), inside in grouped(beats, "service.instance.id").items():
        last = max(map(when, inside))
        rows.append(
            {
                "service.instance.id": name,
                "last_heartbeat": shortest(last),
                "silent_seconds": (end - last).total_seconds(),
                "retry_count": max(values(inside, "fluentd.retry_count")),
                "dead_letters": max(values(inside, "fluentd.dead_letters")),
                "queue_chunks": max(values(inside, "fluentd.queue_chunks")),
                "queue_bytes": max(values(inside, "fluentd.queue_bytes")),
                "oldest_seconds": max(values(inside, "fluentd.oldest_seconds")),
                "buffer_free_ratio": min(values(inside, "fluentd.buffer_free_ratio")),
            }
        )
    return sorted(rows, key=lambda row: (row["buffer_free_ratio"], row["service.instance.id"]))


def _by_shipper(documents: list[Document]) -> dict[str, list[Document]]:
    beats = [each for each in of_stream(documents, "health") if "shipper" in each]
    return {name: sorted(inside, key=when) for (name,), inside in grouped(beats, "service.instance.id").items()}


ANSWERS = {
    "saturation": _saturation,
    "backlog": _backlog,
    "shippers": _shippers,
    "clock_skew": _clock_skew,
    "refused_of_late": _refused_of_late,
    "fluentd": _fluentds,
}
