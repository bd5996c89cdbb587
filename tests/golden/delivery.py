"""Delivery of events: found, lost and pending."""

from collections import Counter
from collections.abc import Iterator
from datetime import datetime

from tests.golden.reading import (
    Document,
    Row,
    compute_percentiles,
    format_shortest,
    get,
    get_time,
    group_by,
    list_values,
    select_stream,
    sum_known,
)


def _answer_lost_events(documents: list[Document], start: datetime, _end: datetime) -> list[Row]:
    heartbeats = [each for each in documents if "status" in each or "events_written" in each]
    rows: list[Row] = []
    for (instance,), inside in group_by(heartbeats, "service.instance.id").items():
        found, lost, not_found_yet = _count_events(inside, start)
        rows.append(
            {
                "service.instance.id": instance,
                "expected": found + lost,
                "found": found,
                "lost": lost,
                "not_found_yet": not_found_yet,
            }
        )
    return sorted(rows, key=lambda row: (-row["lost"], -row["not_found_yet"], row["service.instance.id"]))


def _count_events(of_instance: list[Document], start: datetime) -> tuple[int, int, int]:
    """Return the number of an instance's events that are found, lost, and pending."""
    numbers = list_values(of_instance, "event.sequence")
    beats = sorted((each for each in of_instance if "events_written" in each), key=get_time)
    counts = [(each["events_written"], each["events_dropped"]) for each in beats]
    began_inside = any(datetime.fromisoformat(each) >= start for each in list_values(beats, "instance_started"))
    before, after = ((0, 0), (0, 0)) if not counts else ((0, 0) if began_inside else counts[0], counts[-1])
    first = 0 if began_inside else min(numbers, default=sum(before))
    last = max(numbers, default=first - 1)
    holes = last - first + 1 - len(numbers)
    at_the_end = max(0, sum(after) - 1 - last)
    not_counted = 0 if began_inside else max(0, first - sum(before))
    known = max(0, after[1] - before[1] - holes - (not_counted if counts else 0))
    dropped_at_the_end = min(at_the_end, known)
    return len(numbers), holes + dropped_at_the_end, at_the_end - dropped_at_the_end


def _answer_duplicate_events(documents: list[Document], _start: datetime, _end: datetime) -> list[Row]:
    counted = Counter(each["event"]["id"] for each in select_stream(documents, "events"))
    ranked = sorted(counted.items(), key=lambda item: (-item[1], item[0]))
    return [{"event.id": name, "copies": copies} for name, copies in ranked if copies > 1]


def _answer_duplicates_by_instance(documents: list[Document], _start: datetime, _end: datetime) -> list[Row]:
    rows = []
    for (instance,), inside in group_by(select_stream(documents, "events"), "service.instance.id").items():
        different = len({each["event"]["id"] for each in inside})
        rows.append(
            {"service.instance.id": instance, "found": different, "duplicated": len(inside) - different},
        )
    return sorted(rows, key=lambda row: (-row["duplicated"], row["service.instance.id"]))


def _answer_duplicates(documents: list[Document], start: datetime, end: datetime) -> list[Row]:
    rows = _answer_duplicates_by_instance(documents, start, end)
    if not rows:
        return []
    return [{"events": sum(row["found"] for row in rows), "duplicated": sum(row["duplicated"] for row in rows)}]


def _answer_ingest_lag(documents: list[Document], _start: datetime, _end: datetime) -> list[Row]:
    events = select_stream(documents, "events")
    if not events:
        return []
    lags = [
        {"lag": (datetime.fromisoformat(ingested) - get_time(each)).total_seconds()}
        for each in events
        if (ingested := get(each, "event.ingested")) is not None
    ]
    return [
        {
            "events": len(events),
            "measured": len(lags),
            **compute_percentiles(lags, "lag"),
            "max_seconds": max(list_values(lags, "lag"), default=None),
        }
    ]


def _answer_instances(documents: list[Document], start: datetime, end: datetime) -> list[Row]:
    rows = list(_describe_instances(documents, start, end))
    rows.sort(key=lambda row: (-row["lost"], -row["not_found_yet"], row["service.name"], row["service.instance.id"]))
    return rows


def _answer_delivery(documents: list[Document], start: datetime, end: datetime) -> list[Row]:
    rows = list(_describe_instances(documents, start, end))
    if not rows:
        return []
    written, found = (sum(row[name] for row in rows) for name in ("written", "found"))
    silences = [
        row["silent_seconds"] for row in rows if row["state"] != "stopped" and row["silent_seconds"] is not None
    ]
    return [
        {
            "instances": len(rows),
            "written": written,
            "found": found,
            "found_share": found / written if written else None,
            "whole": 1.0,
            "lost": sum(row["lost"] for row in rows),
            "not_found_yet": sum(row["not_found_yet"] for row in rows),
            "dropped": sum_known(row["dropped"] for row in rows),
            "longest_silence_seconds": max(silences, default=None),
        }
    ]


def _describe_instances(documents: list[Document], start: datetime, end: datetime) -> Iterator[Row]:
    heartbeats = [each for each in documents if "status" in each or "events_written" in each]
    for (service, instance), inside in group_by(heartbeats, "service.name", "service.instance.id").items():
        beats = sorted((each for each in inside if "events_written" in each), key=get_time)
        found, lost, not_found_yet = _count_events(inside, start)
        yield {
            "service.name": service,
            "service.instance.id": instance,
            "last_heartbeat": format_shortest(get_time(beats[-1])) if beats else None,
            "silent_seconds": (end - get_time(beats[-1])).total_seconds() if beats else None,
            "state": _find_state(beats),
            "written": found + lost + not_found_yet,
            "found": found,
            "lost": lost,
            "not_found_yet": not_found_yet,
            "dropped": max(list_values(beats, "events_dropped")) if beats else None,
        }


def _find_state(beats: list[Document]) -> str | None:
    if not beats:
        return None
    return "stopped" if beats[-1]["message"] == "service_stopped" else "running"


ANSWERS = {
    "lost_events": _answer_lost_events,
    "duplicate_events": _answer_duplicate_events,
    "duplicates_by_instance": _answer_duplicates_by_instance,
    "duplicates": _answer_duplicates,
    "ingest_lag": _answer_ingest_lag,
    "instances": _answer_instances,
    "delivery": _answer_delivery,
}
