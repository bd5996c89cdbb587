"""
The job behind ``inferlog summarize``: brings the summaries of a range up to date with the events.

It can be repeated, interrupted at any moment, and run twice at once. A minute is always computed as a whole and
replaced, never added to; an hour is the sum of its minutes. A write carries the version of the document that was read
before the events, so it fails if another run was faster, and is tried again.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator
from collections.abc import Set as AbstractSet
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any, Final

from inferlog_ops.core.cluster import Cluster, require_stream, translate_errors
from inferlog_ops.core.progress import ReportProgress, ignore_progress
from inferlog_ops.core.streams import build_stream_name, build_summaries_stream_name
from inferlog_ops.core.wait import poll
from inferlog_ops.query.run import FIRST_TIME
from inferlog_ops.query.timerange import format_iso
from inferlog_ops.summarize.changes import plan_changes
from inferlog_ops.summarize.events import Events, OldestIndex
from inferlog_ops.summarize.reading import TooManyRowsError
from inferlog_ops.summarize.store import SummaryStore
from inferlog_ops.summarize.summary import Summary, SummaryInterval

LOOKBACK: Final = timedelta(days=2)
SETTLE: Final = timedelta(minutes=2)
"""Age of a minute at its first summary: most of its events are searchable by then."""

_CHUNK: Final = timedelta(days=6)
"""Range of a comparison: fewer minutes than an answer can have rows."""
_PART: Final = timedelta(hours=6)
"""Range of a computation: its groups fit in the memory of a small engine, and progress is visible."""
_CONFLICT_SECONDS: Final = 20.0
_SECONDS_BETWEEN_ATTEMPTS: Final = 0.5
"""Time in which the documents of a faster run become visible to searches."""
_TIMEOUT_SECONDS: Final = 300.0

TimeRange = tuple[datetime, datetime]
"""Start, and end, exclusive."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SummarizeSettings:
    """
    Settings of a run.

    Attributes:
        start: Start of the range; None: *lookback* before the newest summary, at first the oldest event.
        end: End of the range; None: two minutes ago.
        lookback: Distance from the newest summary within which events may still arrive.
    """

    start: datetime | None = None
    end: datetime | None = None
    lookback: timedelta = LOOKBACK


@dataclass(frozen=True, slots=True, kw_only=True)
class LeftOut:
    """
    Events of a minute with a value that is in no sum, because it is too large.

    Attributes:
        start: Start of the minute.
        model_version: Their model version; None if it is missing.
        events: Their number.
    """

    start: datetime
    model_version: str | None
    events: int

    def as_json(self) -> dict[str, Any]:
        """Return it as JSON values."""
        return {"start": format_iso(self.start), "model_version": self.model_version, "events": self.events}


@dataclass(slots=True, kw_only=True)
class SummarizeResult:
    """
    Result of a run.

    Attributes:
        minutes: Minutes that were computed.
        late_minutes: Those of them that are before the range, and got a late event.
        created: New documents, of minutes and hours.
        replaced: Documents with new content.
        deleted: Documents of vanished combinations, and surplus copies.
        unchanged: Documents that were computed again and stay.
        left_out_events: Least number of events that are in no summary: they arrived for a minute after events of it may
            have been deleted.
        prevented: Changes that other runs prevented in every attempt.
        future_summaries: Stored summaries of minutes that have not begun: of a host whose clock was ahead.
        left_out_values: Events with values that are in no sum, by minute and model version.
        failures: A sentence for each minute or hour that cannot be summarized.
    """

    minutes: int = 0
    late_minutes: int = 0
    created: int = 0
    replaced: int = 0
    deleted: int = 0
    unchanged: int = 0
    left_out_events: int = 0
    prevented: int = 0
    future_summaries: int = 0
    left_out_values: list[LeftOut] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)

    def as_json(self) -> dict[str, Any]:
        """Return the result as JSON values."""
        return {
            "minutes": self.minutes,
            "late_minutes": self.late_minutes,
            "created": self.created,
            "replaced": self.replaced,
            "deleted": self.deleted,
            "unchanged": self.unchanged,
            "left_out_events": self.left_out_events,
            "prevented": self.prevented,
            "future_summaries": self.future_summaries,
            "left_out_values": [each.as_json() for each in self.left_out_values],
            "failures": self.failures,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """
    A minute or hour whose summaries differ from the events.

    Attributes:
        interval: Its length.
        start: Its start.
        events: Number of events, or for an hour of the requests in its minutes.
        summarized: Number of summarized requests.
    """

    interval: SummaryInterval
    start: datetime
    events: int
    summarized: int

    def as_json(self) -> dict[str, Any]:
        """Return the difference as JSON values."""
        return {
            "interval_seconds": self.interval.value,
            "start": format_iso(self.start),
            "events": self.events,
            "summarized": self.summarized,
        }


def summarize(
    cluster: Cluster, settings: SummarizeSettings, now: datetime, report: ReportProgress = ignore_progress
) -> SummarizeResult:
    """
    Bring the summaries up to date: the range of *settings*, and earlier minutes with late events.

    Args:
        cluster: Cluster and namespace.
        settings: Range of the run.
        now: Current time.
        report: Receives progress lines.

    Raises:
        OperatorError: If a stream or privilege is missing, or the cluster does not answer or rejects a document.
    """
    with _open(cluster, "summarizing events") as (events, store):
        run = _Run(events=events, store=store, oldest_index=events.find_oldest_index(), report=report)
        late_ranges, (start, end) = _list_ranges(events, store, settings, now)
        # First: once newer minutes are summarized, a later run looks less far back for late events.
        for late_range in late_ranges:
            run.update(*late_range)
        run.result.late_minutes = run.result.minutes
        run.update(start, end)
        run.result.future_summaries = store.count_from(now)
        return run.result


def check(
    cluster: Cluster, settings: SummarizeSettings, now: datetime, report: ReportProgress = ignore_progress
) -> tuple[int, list[Difference]]:
    """
    Compare the summaries with the events, changing nothing.

    Returns:
        The number of compared minutes, and the minutes and hours that differ.

    Raises:
        OperatorError: As in `summarize`.
    """
    with _open(cluster, "comparing summaries with events") as (events, store):
        start, end = _choose_range(events, settings, now, _find_newest(store, now))
        whole_from = events.find_oldest_index().whole_from
        compared, differences = 0, list[Difference]()
        for part_start, part_end in _split(start, end, _PART):
            report(f"comparing the minutes from {part_start:%Y-%m-%d %H:%M} UTC")
            minutes = events.summarize(part_start, part_end)
            compared += len({each.start for each in minutes})
            differences += [
                each
                for each in _compare(SummaryInterval.MINUTE, minutes, store, part_start, part_end)
                # Before, a summary may count events that were deleted since.
                if each.start >= whole_from or each.events > each.summarized
            ]
            hours = SummaryInterval.HOUR.floor(part_start), SummaryInterval.HOUR.ceil(part_end)
            differences += _compare(SummaryInterval.HOUR, store.merge_hours(*hours), store, *hours)
        return compared, differences


@dataclass(slots=True, kw_only=True)
class _Run:
    """One run, and its result so far."""

    events: Events
    store: SummaryStore
    oldest_index: OldestIndex
    report: ReportProgress
    result: SummarizeResult = field(default_factory=SummarizeResult)

    def update(self, start: datetime, end: datetime) -> None:
        """Bring minutes and hours from *start* to *end* up to date."""
        while (first := self.events.find_first(start, end)) is not None:
            chunk_end = min(end, first + _CHUNK)
            self._update_minutes(first, chunk_end)
            self._update_hours(SummaryInterval.HOUR.floor(first), SummaryInterval.HOUR.ceil(chunk_end))
            start = chunk_end

    def _update_minutes(self, start: datetime, end: datetime) -> None:
        summarized = self.store.count_by_minute(start, end)
        events = self.events.count_by_minute(start, end)
        final = self._list_final_minutes(summarized.keys(), events.keys())
        stale = self.store.list_doubled(SummaryInterval.MINUTE, start, end)
        for minute, count in events.items():
            missing = count - summarized.get(minute, 0)
            if missing > 0 and minute in final:
                self.result.left_out_events += missing
            elif missing > 0:
                stale.add(minute)

        def compute(start: datetime, end: datetime) -> list[Summary]:
            return [
                replace(each, oldest_events_index=self.oldest_index.name)
                for each in self.events.summarize(start, end)
                if each.start not in final
            ]

        for part_start, part_end in group_starts(stale, SummaryInterval.MINUTE):
            self.report(f"summarizing the minutes from {part_start:%Y-%m-%d %H:%M} UTC")
            self._rewrite(SummaryInterval.MINUTE, part_start, part_end, compute)

    def _list_final_minutes(
        self, summarized: AbstractSet[datetime], with_events: AbstractSet[datetime]
    ) -> set[datetime]:
        """
        Return those of the *summarized* minutes whose summaries may count events that were deleted since.

        Without them, a minute cannot be computed again. Retention has deleted no event of a minute that is later than
        the oldest index, or if no index was deleted since it was computed.
        """
        final = {minute for minute in summarized if minute < self.oldest_index.whole_from}
        for start, end in group_starts(final & with_events, SummaryInterval.MINUTE):
            final -= {
                each.summary.start
                for each in self.store.read(SummaryInterval.MINUTE, start, end)
                if each.summary.oldest_events_index == self.oldest_index.name
            }
        return final

    def _update_hours(self, start: datetime, end: datetime) -> None:
        stale = {*self.store.list_stale_hours(start, end), *self.store.list_doubled(SummaryInterval.HOUR, start, end)}
        for part_start, part_end in group_starts(stale, SummaryInterval.HOUR):
            self.report(f"summarizing the hours from {part_start:%Y-%m-%d %H:%M} UTC")
            self._rewrite(SummaryInterval.HOUR, part_start, part_end, self.store.merge_hours)

    def _rewrite(
        self,
        interval: SummaryInterval,
        start: datetime,
        end: datetime,
        compute: Callable[[datetime, datetime], list[Summary]],
    ) -> None:
        """Rewrite the summaries of the range; a start that cannot be summarized does not keep the others from it."""
        try:
            self._rewrite_range(interval, start, end, compute)
        except TooManyRowsError as error:
            self.result.failures.append(str(error))
            failed = interval.floor(error.start)
            for part_start, part_end in ((start, failed), (failed + interval.duration, end)):
                if part_start < part_end:
                    self._rewrite(interval, part_start, part_end, compute)

    def _rewrite_range(
        self,
        interval: SummaryInterval,
        start: datetime,
        end: datetime,
        compute: Callable[[datetime, datetime], list[Summary]],
    ) -> None:
        """Make the stored summaries equal to the computed ones; again if another run was faster."""
        for _ in poll(timeout_seconds=_CONFLICT_SECONDS, interval_seconds=_SECONDS_BETWEEN_ATTEMPTS):
            # The versions before the content: otherwise an older content could replace that of a faster run.
            stored = self.store.read(interval, start, end)
            computed = compute(start, end)
            changes = plan_changes(stored, computed)
            written = self.store.write(changes)
            self.result.created += written.created
            self.result.replaced += written.replaced
            self.result.deleted += written.deleted
            if not written.prevented:
                self.result.unchanged += changes.unchanged
                break
        else:
            self.result.prevented += written.prevented
        if interval is SummaryInterval.MINUTE:
            self.result.minutes += len({summary.start for summary in computed})
            self.result.left_out_values += _list_left_out(computed)


def _list_left_out(minutes: Iterable[Summary]) -> Iterator[LeftOut]:
    """Yield the events with values that are in no sum, by minute and model version."""
    counts: Counter[tuple[datetime, str | None]] = Counter()
    for each in minutes:
        if each.left_out:
            counts[each.start, each.model_version] += each.left_out
    for (start, model_version), events in counts.items():
        yield LeftOut(start=start, model_version=model_version, events=events)


def group_starts(starts: Iterable[datetime], interval: SummaryInterval) -> list[TimeRange]:
    """Group the *starts* of intervals into ranges of at most six hours; intervals in gaps are computed again."""
    ranges: list[TimeRange] = []
    for start in sorted(starts):
        end = start + interval.duration
        if ranges and end - ranges[-1][0] <= _PART:
            ranges[-1] = (ranges[-1][0], end)
        else:
            ranges.append((start, end))
    return ranges


@contextmanager
def _open(cluster: Cluster, doing: str) -> Iterator[tuple[Events, SummaryStore]]:
    stream, summaries = build_stream_name("events", cluster.namespace), build_summaries_stream_name(cluster.namespace)
    with (
        cluster.build_client(request_timeout_seconds=_TIMEOUT_SECONDS) as client,
        translate_errors(cluster, doing),
    ):
        for each in (stream, summaries):
            with require_stream(cluster, each):
                client.indices.get_settings(index=each, name="index.creation_date")
        yield Events(client=client, stream=stream), SummaryStore(client=client, stream=summaries)


def _find_newest(store: SummaryStore, now: datetime) -> datetime | None:
    """Return the newest summarized minute; one of the future is not a sign that the minutes before it are done."""
    return store.find_newest(before=SummaryInterval.MINUTE.floor(now - SETTLE))


def _choose_range(events: Events, settings: SummarizeSettings, now: datetime, newest: datetime | None) -> TimeRange:
    """Return the range of *settings*, with its defaults filled in."""
    end = SummaryInterval.MINUTE.floor(settings.end or now - SETTLE)
    if settings.start is not None:
        return SummaryInterval.MINUTE.floor(settings.start), end
    first = events.find_first(FIRST_TIME, end) if newest is None else _look_back(newest, settings.lookback)
    return (end if first is None else first), end


def _look_back(newest: datetime, lookback: timedelta) -> datetime:
    return newest - min(lookback, newest - FIRST_TIME)


def _list_ranges(
    events: Events, store: SummaryStore, settings: SummarizeSettings, now: datetime
) -> tuple[list[TimeRange], TimeRange]:
    """Return the ranges of earlier minutes with late events, and the range of *settings*."""
    newest = _find_newest(store, now)
    start, end = _choose_range(events, settings, now, newest)
    if newest is None or newest >= end:
        return [], (start, end)
    # The next run resumes at the newest minute, so this one leaves no gap before it.
    resumed = _look_back(newest, settings.lookback)
    start = min(start, resumed)
    return group_starts(events.list_late_minutes(start, arrived_since=resumed), SummaryInterval.MINUTE), (start, end)


def _split(start: datetime, end: datetime, most: timedelta) -> Iterator[TimeRange]:
    while start < end:
        yield start, min(end, start + most)
        start += most


def _compare(
    interval: SummaryInterval, computed: Iterable[Summary], store: SummaryStore, start: datetime, end: datetime
) -> Iterator[Difference]:
    """Yield the differences between *computed* and the stored summaries; a start without computed ones has none."""
    wanted: defaultdict[datetime, Counter[Summary]] = defaultdict(Counter)
    found: defaultdict[datetime, Counter[Summary]] = defaultdict(Counter)
    for summary in computed:
        wanted[summary.start][summary] += 1
    for stored in store.read(interval, start, end):
        found[stored.summary.start][stored.summary] += 1
    for moment, summaries in wanted.items():
        if found[moment] != summaries:
            yield Difference(
                interval=interval,
                start=moment,
                events=sum(each.requests for each in summaries.elements()),
                summarized=sum(each.requests for each in found[moment].elements()),
            )
