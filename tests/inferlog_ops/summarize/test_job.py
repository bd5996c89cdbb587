"""The job on a real engine: exact sums, late events, gaps, retention, rollovers, conflicts and interruptions."""

import re
import threading
from collections import Counter
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest
from elasticsearch import Elasticsearch

from inferlog_ops.core.cluster import Cluster
from inferlog_ops.core.errors import OperatorError
from inferlog_ops.query import library
from inferlog_ops.query.run import fetch_rows
from inferlog_ops.summarize import reading
from inferlog_ops.summarize.job import SummarizeSettings, check, group_starts
from inferlog_ops.summarize.store import SummaryStore
from inferlog_ops.summarize.summary import SummaryInterval
from tests.golden import END, START
from tests.golden.reading import format_iso
from tests.support.indexing import index, index_golden
from tests.support.summarizing import (
    MINUTE,
    NOON,
    arrive,
    build_event,
    count_requests,
    list_differences,
    list_documents,
    run,
)

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
STEP = timedelta(seconds=97)


def spread(events: int, end: datetime = NOON, step: timedelta = STEP) -> list[dict[str, Any]]:
    """Return events of two versions before *end*."""
    return [build_event(end - step * (number + 1), 0.1 + number % 7, f"v{1 + number % 2}") for number in range(events)]


def list_backing_indices(client: Elasticsearch, stream: str) -> list[str]:
    found: list[str] = client.indices.resolve_index(name=stream)["data_streams"][0]["backing_indices"]
    return found


def test_golden_events_and_summaries_agree_and_a_second_run_changes_nothing(provisioned: Cluster) -> None:
    """The golden events have duplicates after rollovers, which count as in every query."""
    documents = index_golden(provisioned)
    first = run(provisioned, END + HOUR)
    events = [*documents.first, *documents.again, *documents.again_later]
    minutes = {each["@timestamp"][:16] for each in events}
    assert (first.minutes, first.replaced, first.deleted, first.unchanged) == (len(minutes), 0, 0, 0)
    assert count_requests(provisioned, START - 3 * DAY, END + DAY) == len(events)
    before = list_documents(provisioned)
    assert first.created == len(before)
    again = run(provisioned, END + HOUR)
    assert (again.minutes, again.created, again.replaced, again.deleted) == (0, 0, 0, 0)
    assert list_documents(provisioned) == before
    assert list_differences(provisioned, START - 3 * DAY, END + DAY) == []


def test_hours_hold_the_requests_of_their_minutes(provisioned: Cluster) -> None:
    index(provisioned, "events", spread(200))
    run(provisioned, NOON + HOUR)
    requests: Counter[int] = Counter()
    for hit in list_documents(provisioned):
        requests[hit["_source"]["interval_seconds"]] += hit["_source"]["requests"]
    assert requests == {SummaryInterval.MINUTE: 200, SummaryInterval.HOUR: 200}


def test_late_event_replaces_the_summary_of_its_minute_and_hour(provisioned: Cluster) -> None:
    arrive(provisioned, spread(40), at=NOON)
    run(provisioned, NOON + HOUR)
    arrive(provisioned, [build_event(NOON - STEP, 9.0), build_event(NOON - 5 * HOUR, 9.0)], at=NOON + HOUR)
    result = run(provisioned, NOON + HOUR)
    assert (result.replaced, result.created, result.late_minutes) == (2, 2, 0)
    assert count_requests(provisioned, NOON - DAY, NOON + DAY) == 42
    assert list_differences(provisioned, NOON - DAY, NOON + DAY) == []


def test_event_that_arrives_after_the_lookback_is_found_by_its_arrival(provisioned: Cluster) -> None:
    arrive(provisioned, [build_event(NOON - 9 * DAY), *spread(10)], at=NOON)
    run(provisioned, NOON + HOUR)
    late = [build_event(NOON - 9 * DAY), build_event(NOON - 8 * DAY), build_event(NOON - 5 * DAY)]
    arrive(provisioned, late, at=NOON + HOUR)
    result = run(provisioned, NOON + 2 * HOUR)
    assert (result.late_minutes, result.minutes) == (3, 3)
    assert count_requests(provisioned, NOON - 10 * DAY, NOON + DAY) == 14
    assert list_differences(provisioned, NOON - 10 * DAY, NOON + DAY) == []


def test_run_after_a_long_pause_finds_everything_that_arrived_meanwhile(provisioned: Cluster) -> None:
    arrive(provisioned, spread(10), at=NOON)
    run(provisioned, NOON + HOUR)
    later = NOON + 12 * DAY
    arrive(provisioned, [*spread(10, later), build_event(NOON - 5 * DAY)], at=NOON + 6 * DAY)
    assert run(provisioned, later + HOUR).late_minutes == 1
    assert count_requests(provisioned, NOON - 10 * DAY, later + HOUR) == 21


def test_range_of_the_user_leaves_no_gap_after_the_newest_summary(provisioned: Cluster) -> None:
    index(provisioned, "events", [*spread(5), *spread(5, NOON + 3 * DAY), *spread(5, NOON + 9 * DAY)])
    run(provisioned, NOON + HOUR)
    run(provisioned, NOON + 10 * DAY, start=NOON + 8 * DAY)
    assert count_requests(provisioned, NOON - DAY, NOON + 10 * DAY) == 15


def test_range_of_the_user_is_summarized_alone(provisioned: Cluster) -> None:
    index(provisioned, "events", spread(100))
    run(provisioned, NOON + HOUR, start=NOON - HOUR, end=NOON - 30 * MINUTE)
    starts = {hit["_source"]["@timestamp"] for hit in list_documents(provisioned)}
    assert (min(starts), max(starts)) == ("2026-11-23T11:00:00Z", "2026-11-23T11:29:00Z")


def test_summary_of_the_future_does_not_stop_later_runs(provisioned: Cluster) -> None:
    """A host whose clock was days ahead, and a range that ends after its events."""
    arrive(provisioned, [build_event(NOON - 4 * DAY), build_event(NOON + 10 * DAY)], at=NOON)
    assert run(provisioned, NOON + HOUR, end=NOON + 20 * DAY).future_summaries == 1
    arrive(provisioned, [*spread(10), build_event(NOON - 9 * DAY)], at=NOON)
    result = run(provisioned, NOON + HOUR)
    assert (result.minutes, result.late_minutes, result.future_summaries) == (11, 1, 1)
    assert count_requests(provisioned, NOON - 10 * DAY, NOON + 20 * DAY) == 13
    arrive(provisioned, [build_event(NOON - STEP)], at=NOON)
    minutes, (difference,) = check(provisioned, SummarizeSettings(), NOON + HOUR)
    assert (minutes, difference.events, difference.summarized) == (10, 2, 1)


def test_minute_is_summarized_two_minutes_after_its_end(provisioned: Cluster) -> None:
    index(provisioned, "events", [build_event(NOON - MINUTE), build_event(NOON)])
    run(provisioned, NOON + 2 * MINUTE)
    assert count_requests(provisioned, NOON - HOUR, NOON + HOUR) == 1
    run(provisioned, NOON + 3 * MINUTE)
    assert count_requests(provisioned, NOON - HOUR, NOON + HOUR) == 2


def test_gap_of_months_and_an_event_of_long_ago_are_passed_quickly(provisioned: Cluster) -> None:
    index(provisioned, "events", [build_event(datetime.fromisoformat("1971-02-03T04:05:06Z")), *spread(3)])
    assert run(provisioned, NOON + HOUR).minutes == 4


def test_stream_without_events_has_no_summaries(provisioned: Cluster) -> None:
    result = run(provisioned, NOON)
    assert (result.minutes, result.created, list_documents(provisioned)) == (0, 0, [])


def delete_oldest_index(cluster: Cluster) -> None:
    """Delete the events as retention and inferlog engine prune do: with their backing index."""
    stream = f"logs-inference.events-{cluster.namespace}"
    with cluster.build_client() as client:
        client.indices.rollover(alias=stream)
        client.indices.delete(index=list_backing_indices(client, stream)[0])


def test_summaries_outlive_events_that_retention_deletes(provisioned: Cluster) -> None:
    """Late events of such a minute are reported, because it cannot be computed as a whole any more."""
    index(provisioned, "events", spread(30))
    run(provisioned, NOON + HOUR)
    before = list_documents(provisioned)
    delete_oldest_index(provisioned)
    arrive(provisioned, [build_event(NOON - STEP) for _ in range(3)], at=NOON + HOUR)
    result = run(provisioned, NOON + HOUR)
    assert (result.minutes, result.left_out_events) == (0, 2)
    assert list_documents(provisioned) == before
    assert list_differences(provisioned, NOON - DAY, NOON + HOUR) == [SummaryInterval.MINUTE.floor(NOON - STEP)]


def test_new_events_are_summarized_at_once_after_all_earlier_ones_were_deleted(provisioned: Cluster) -> None:
    """Also those of before the deletion, and late ones of minutes that were summarized since."""
    index(provisioned, "events", spread(20, NOON - 2 * HOUR))
    run(provisioned, NOON)
    delete_oldest_index(provisioned)
    arrive(provisioned, [*spread(10), build_event(NOON - 9 * DAY)], at=NOON)
    result = run(provisioned, NOON + HOUR)
    assert (result.minutes, result.late_minutes, result.left_out_events) == (11, 1, 0)
    arrive(provisioned, [build_event(NOON - STEP)], at=NOON)
    result = run(provisioned, NOON + HOUR)
    assert (result.minutes, result.replaced, result.left_out_events) == (1, 2, 0)
    assert count_requests(provisioned, NOON - 10 * DAY, NOON + HOUR) == 20 + 10 + 1 + 1
    assert list_differences(provisioned, NOON - 10 * DAY, NOON + HOUR) == []


def test_minute_whose_events_were_deleted_is_not_computed_again_with_its_neighbours(provisioned: Cluster) -> None:
    """As many events arrive for it as its summary counts."""
    index(provisioned, "events", [build_event(NOON, version="deleted")])
    run(provisioned, NOON + HOUR)
    delete_oldest_index(provisioned)
    index(provisioned, "events", [build_event(NOON + MINUTE * number) for number in (-1, 0, 1)])
    assert run(provisioned, NOON + HOUR).minutes == 2
    assert count_requests(provisioned, NOON - HOUR, NOON + HOUR) == 3
    versions = {hit["_source"]["model_version"] for hit in list_documents(provisioned)}
    assert versions == {"deleted", "v1"}


def test_summaries_outlive_events_that_are_deleted_one_by_one(provisioned: Cluster) -> None:
    """As by inferlog engine prune, which keeps the first backing index."""
    index(provisioned, "events", spread(30))
    run(provisioned, NOON + HOUR)
    with provisioned.build_client() as client:
        (name,) = list_backing_indices(client, f"logs-inference.events-{provisioned.namespace}")
        ids = [hit["_id"] for hit in client.search(index=name, size=20)["hits"]["hits"]]
        client.bulk(index=name, operations=[{"delete": {"_id": each}} for each in ids], refresh=True)
    assert run(provisioned, NOON + HOUR).minutes == 0
    assert count_requests(provisioned, NOON - DAY, NOON + DAY) == 30


def test_copy_in_another_backing_index_is_removed(provisioned: Cluster) -> None:
    """A rollover between two runs lets both create the same document."""
    summaries = f"inferlog-summaries-{provisioned.namespace}"
    index(provisioned, "events", spread(30))
    run(provisioned, NOON + HOUR)
    first, *_ = [hit for hit in list_documents(provisioned) if hit["_source"]["interval_seconds"] == 60]
    hour, *_ = [hit for hit in list_documents(provisioned) if hit["_source"]["interval_seconds"] == 3600]
    with provisioned.build_client() as client:
        client.indices.rollover(alias=summaries)
        for hit in (first, hour):
            client.create(index=summaries, id=hit["_id"], document=hit["_source"], refresh=True)
    assert count_requests(provisioned, NOON - DAY, NOON + DAY) > 30
    assert len(list_differences(provisioned, NOON - DAY, NOON + DAY)) == 2
    assert run(provisioned, NOON + HOUR).deleted == 2
    assert count_requests(provisioned, NOON - DAY, NOON + DAY) == 30
    assert list_differences(provisioned, NOON - DAY, NOON + DAY) == []


def test_summary_in_an_older_backing_index_is_replaced_there(provisioned: Cluster) -> None:
    summaries = f"inferlog-summaries-{provisioned.namespace}"
    index(provisioned, "events", spread(30))
    run(provisioned, NOON + HOUR)
    with provisioned.build_client() as client:
        client.indices.rollover(alias=summaries)
    index(provisioned, "events", [build_event(NOON - STEP, 0.5)])
    assert run(provisioned, NOON + HOUR).replaced == 2
    assert count_requests(provisioned, NOON - DAY, NOON + DAY) == 31
    assert len({hit["_id"] for hit in list_documents(provisioned)}) == len(list_documents(provisioned))


def test_two_runs_at_once_count_every_event_once(provisioned: Cluster) -> None:
    """Events arrive while they run."""
    index(provisioned, "events", spread(100))
    failures: list[BaseException] = []

    def repeat() -> None:
        try:
            for _ in range(4):
                assert run(provisioned, NOON + HOUR).prevented == 0
        except BaseException as error:  # noqa: BLE001 (the thread's error is the test's)
            failures.append(error)

    threads = [threading.Thread(target=repeat) for _ in range(2)]
    for thread in threads:
        thread.start()
    for _ in range(3):
        index(provisioned, "events", spread(40))
    for thread in threads:
        thread.join()
    assert failures == []
    run(provisioned, NOON + HOUR)
    assert count_requests(provisioned, NOON - DAY, NOON + DAY) == 220
    assert list_differences(provisioned, NOON - DAY, NOON + DAY) == []


def test_change_by_a_faster_run_is_not_overwritten(provisioned: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    """The faster run finishes between the reads and the write of the slower one, and sees one event more."""
    index(provisioned, "events", spread(30))
    run(provisioned, NOON + HOUR)
    index(provisioned, "events", [build_event(NOON - MINUTE)])
    write, faster_runs = SummaryStore.write, list[bool]()

    def write_late(store: SummaryStore, changes: Any) -> Any:
        if not faster_runs:
            faster_runs.append(True)
            index(provisioned, "events", [build_event(NOON - MINUTE)])
            run(provisioned, NOON + HOUR)
        return write(store, changes)

    monkeypatch.setattr(SummaryStore, "write", write_late)
    assert run(provisioned, NOON + HOUR).prevented == 0
    assert count_requests(provisioned, NOON - DAY, NOON + DAY) == 32
    assert list_differences(provisioned, NOON - DAY, NOON + DAY) == []


@pytest.mark.parametrize("requests_before_the_end", [0, 1, 2, 3])
def test_run_that_ends_between_two_bulk_requests_is_completed_by_the_next(
    provisioned: Cluster, monkeypatch: pytest.MonkeyPatch, requests_before_the_end: int
) -> None:
    documents = spread(120, step=timedelta(minutes=7))
    index(provisioned, "events", documents[60:])
    run(provisioned, NOON + HOUR)
    index(provisioned, "events", [*documents[:60], *spread(60, step=timedelta(minutes=7))])
    send, sent = SummaryStore._send, list[bool]()

    def send_some(store: SummaryStore, operations: Any) -> Any:
        if len(sent) == requests_before_the_end:
            raise ConnectionAbortedError
        sent.append(True)
        return send(store, operations)

    with monkeypatch.context() as patch:
        patch.setattr("inferlog_ops.summarize.store._BULK_OPERATIONS", 40)
        patch.setattr(SummaryStore, "_send", send_some)
        with pytest.raises(ConnectionAbortedError):
            run(provisioned, NOON + HOUR)
    run(provisioned, NOON + HOUR)
    assert count_requests(provisioned, NOON - 2 * DAY, NOON + DAY) == 180
    assert list_differences(provisioned, NOON - 2 * DAY, NOON + DAY) == []


def test_answer_of_too_many_rows_is_read_in_halves(provisioned: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "MOST_ROWS", 7)
    index(provisioned, "events", spread(60))
    run(provisioned, NOON + HOUR)
    assert count_requests(provisioned, NOON - DAY, NOON + DAY) == 60
    assert list_differences(provisioned, NOON - DAY, NOON + DAY) == []


def test_minute_with_too_many_combinations_is_reported_and_others_are_summarized(
    provisioned: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading, "MOST_ROWS", 3)
    index(provisioned, "events", [build_event(NOON, version=f"v{number}") for number in range(3)])
    index(provisioned, "events", [build_event(NOON + MINUTE * number) for number in (-90, -1, 1, 2)])
    (failure,) = run(provisioned, NOON + HOUR).failures
    assert re.search(r"12:00:00.*3 or more combinations .* in 60 s; are raw paths or ids logged", failure)
    assert count_requests(provisioned, NOON - DAY, NOON + DAY) == 4


def test_check_reports_minutes_that_differ(provisioned: Cluster) -> None:
    index(provisioned, "events", spread(10))
    run(provisioned, NOON + HOUR)
    index(provisioned, "events", [build_event(NOON - MINUTE)])
    minutes, (difference,) = check(provisioned, SummarizeSettings(), NOON + HOUR)
    assert minutes == 11
    assert (difference.start, difference.events, difference.summarized) == (NOON - MINUTE, 1, 0)


def test_document_without_the_fields_of_a_summary_is_an_error(provisioned: Cluster) -> None:
    line = {"@timestamp": format_iso(NOON), "interval_seconds": SummaryInterval.MINUTE.value, "requests": 1}
    with provisioned.build_client() as client:
        client.index(index=f"inferlog-summaries-{provisioned.namespace}", op_type="create", document=line, refresh=True)
    with pytest.raises(OperatorError, match=r"document .* has no field 'requests_with_latency'; delete it"):
        check(provisioned, SummarizeSettings(start=NOON - DAY, end=NOON + DAY), NOON + DAY)


def test_missing_stream_names_the_command(cluster: Cluster) -> None:
    with pytest.raises(OperatorError, match=f"inferlog provision --namespace {cluster.namespace}"):
        run(cluster, NOON)


def test_ranges_join_near_starts_and_are_at_most_six_hours() -> None:
    starts = [NOON, NOON + MINUTE, NOON + 3 * HOUR, NOON + 6 * HOUR]
    assert group_starts(starts, SummaryInterval.MINUTE) == [
        (NOON, NOON + 3 * HOUR + MINUTE),
        (NOON + 6 * HOUR, NOON + 6 * HOUR + MINUTE),
    ]
    ranges = group_starts([NOON + HOUR * number for number in range(20)], SummaryInterval.HOUR)
    assert all(end - start <= 6 * HOUR for start, end in ranges)
    assert all(end == start for (_, end), (start, _) in pairwise(ranges))


def test_event_with_arrays_counts_once_with_their_smallest_values(provisioned: Cluster) -> None:
    """Other writers may write arrays, as which ES|QL would count it in each group."""
    arrays = {
        **build_event(NOON),
        "model_version": ["v9", "v8"],
        "status": ["success", "error"],
        "service": {"name": ["y", "x"]},
        "latency_seconds": [2.0, 1.0],
        "cost_usd": [0.25, 0.5],
        "gen_ai": {"usage": {"input_tokens": [5, 3], "output_tokens": [LARGEST, 7]}},
    }
    index(provisioned, "events", [arrays, *(build_event(NOON) for _ in range(7))])
    assert run(provisioned, NOON + HOUR).left_out_values == []
    (found,) = (
        hit["_source"]
        for hit in list_documents(provisioned)
        if hit["_source"]["model_version"] == "v8" and hit["_source"]["interval_seconds"] == SummaryInterval.MINUTE
    )
    assert (found["service"]["name"], found["status"], found["requests"]) == ("x", "error", 1)
    assert (found["requests_with_latency"], found["latency_seconds_sum"]) == (1, 1.0)
    assert (found["requests_with_cost"], found["cost_usd"]) == (1, 0.25)
    assert (found["input_tokens"], found["output_tokens"]) == (3, 7)
    assert count_requests(provisioned, NOON, NOON + HOUR) == 8
    index(provisioned, "events", [build_event(NOON) for _ in range(7)])
    run(provisioned, NOON + HOUR)
    assert count_requests(provisioned, NOON, NOON + HOUR) == 15
    assert list_differences(provisioned, NOON, NOON + HOUR) == []


LARGEST = 2**63 - 1


def test_values_too_large_for_a_sum_are_left_out_and_reported_by_minute_and_version(provisioned: Cluster) -> None:
    """Other writers may write them; the events count all the same, and other versions and minutes are exact."""
    events = [
        *(
            build_event(NOON, version="large", gen_ai={"usage": {"input_tokens": tokens, "output_tokens": 1}})
            for tokens in (LARGEST, LARGEST, 12)
        ),
        build_event(NOON, 1e300, version="slow"),
        build_event(NOON, 0.5, version="slow"),
        build_event(NOON, version="dear", cost_usd=1e300),
        *(build_event(NOON, 1e7, version="most", cost_usd=1e4) for _ in range(10)),
        build_event(NOON + MINUTE, version="later", gen_ai={"usage": {"input_tokens": 7}}),
    ]
    index(provisioned, "events", events)
    result = run(provisioned, NOON + HOUR)
    assert sorted((each.start, each.model_version, each.events) for each in result.left_out_values) == [
        (NOON, "dear", 1),
        (NOON, "large", 2),
        (NOON, "slow", 1),
    ]
    rows = fetch_rows(provisioned, library.find("long_range_traffic"), NOON, NOON + HOUR)
    figures = {row["model_version"]: (row["requests"], row["input_tokens"], row["cost_usd"]) for row in rows}
    assert figures == {
        "large": (3, 12, None),
        "slow": (2, 0, None),
        "dear": (1, 0, None),
        "most": (10, 0, 1e5),
        "later": (1, 7, None),
    }
    sums = {each["_source"]["model_version"]: each["_source"] for each in list_documents(provisioned)}
    assert (sums["slow"]["requests_with_latency"], sums["slow"]["latency_seconds_sum"]) == (1, 0.5)
    assert sums["most"]["latency_seconds_sum"] == 1e8
    assert "cost_usd" not in sums["dear"]
    assert list_differences(provisioned, NOON, NOON + HOUR) == []
    assert run(provisioned, NOON + HOUR).left_out_values == []
