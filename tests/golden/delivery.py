"""What became of the events on their way."""

from collections import Counter
from collections.abc import Iterator
from datetime import datetime

from golden.reading import Document, Row, get, grouped, of_stream, percentiles, shortest, total, values, when


def _lost_events(documents: list[Document], _start: datetime, _end: datetime) -> list[Row]:
    rows = []
    for (instance,), inside in grouped(of_stream(documents, "events"), "service.instance.id").items():
        numbers = values(inside, "event.sequence")
        wanted = max(numbers) - min(numbers) + 1
        rows.append(
            {"service.instance.id": instance, "expected": wanted, "found": len(numbers), "lost": wanted - len(numbers)}
        )
    return sorted(rows, key=lambda row: (-row["lost"], row["service.instance.id"]))


def _duplicate_events(documents: list[Document], _start: datetime, _end: datetime) -> list[Row]:
    counted = Counter(each["event"]["id"] for each in of_stream(documents, "events"))
    ranked = sorted(counted.items(), key=lambda item: (-item[1], item[0]))
    return [{"event.id": name, "copies": copies} for name, copies in ranked if copies > 1]


def _duplicates_by_instance(documents: list[Document], _start: datetime, _end: datetime) -> list[Row]:
    rows = []
    for (instance,), inside in grouped(of_stream(documents, "events"), "service.instance.id").items():
        different = len({each["event"]["id"] for each in inside})
        rows.append(
            {"service.instance.id": instance, "found": different, "duplicated": len(inside) - different},
        )
    return sorted(rows, key=lambda row: (-row["duplicated"], row["service.instance.id"]))


def _duplicates(documents: list[Document], start: datetime, end: datetime) -> list[Row]:
    rows = _duplicates_by_instance(documents, start, end)
    if not rows:
        return []
    return [{"events": sum(row["found"] for row in rows), "duplicated": sum(row["duplicated"] for row in rows)}]


def _ingest_lag(documents: list[Document], _start: datetime, _end: datetime) -> list[Row]:
    events = of_stream(documents, "events")
    if not events:
        return []
    lags = [
        {"lag": (datetime.fromisoformat(ingested) - when(each)).total_seconds()}
        for each in events
        if (ingested := get(each, "event.ingested")) is not None
    ]
    return [
        {
            "events": len(events),
            "measured": len(lags),
            **percentiles(lags, "lag"),
            "max_seconds": max(values(lags, "lag"), default=None),
        }
    ]


def _instances(documents: list[Document], _start: datetime, end: datetime) -> list[Row]:
    rows = list(_each_instance(documents, end))
    rows.sort(key=lambda row: (-row["lost"], -row["not_found_yet"], row["service.name"], row["service.instance.id"]))
    return rows


def _delivery(documents: list[Document], _start: datetime, end: datetime) -> list[Row]:
    rows = list(_each_instance(documents, end))
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
            "dropped": total(row["dropped"] for row in rows),
            "longest_silence_seconds": max(silences, default=None),
        }
    ]


def _each_instance(documents: list[Document], end: datetime) -> Iterator[Row]:
    told = [each for each in documents if "status" in each or "events_written" in each]
    for (service, instance), inside in grouped(told, "service.name", "service.instance.id").items():
        numbers = values(inside, "event.sequence")
        beats = sorted((each for each in inside if "events_written" in each), key=when)
        counts = values(beats, "events_written")
        lost = max(numbers) - min(numbers) + 1 - len(numbers) if numbers else 0
        not_found_yet = 0
        if counts and numbers:
            not_found_yet = max(0, max(counts) + max(values(beats, "events_dropped")) - 1 - max(numbers))
        elif counts:
            not_found_yet = max(counts) - min(counts)
        yield {
            "service.name": service,
            "service.instance.id": instance,
            "last_heartbeat": shortest(when(beats[-1])) if beats else None,
            "silent_seconds": (end - when(beats[-1])).total_seconds() if beats else None,
            "state": _state(beats),
            "written": len(numbers) + lost + not_found_yet,
            "found": len(numbers),
            "lost": lost,
            "not_found_yet": not_found_yet,
            "dropped": max(values(beats, "events_dropped")) if beats else None,
        }


def _state(beats: list[Document]) -> str | None:
    if not beats:
        return None
    return "stopped" if any(beat["message"] == "service_stopped" for beat in beats) else "running"


ANSWERS = {
    "lost_events": _lost_events,
    "duplicate_events": _duplicate_events,
    "duplicates_by_instance": _duplicates_by_instance,
    "duplicates": _duplicates,
    "ingest_lag": _ingest_lag,
    "instances": _instances,
    "delivery": _delivery,
}
