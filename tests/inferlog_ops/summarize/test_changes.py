"""Changes that make stored summaries equal to computed ones."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from inferlog_ops.summarize.buckets import encode_counts
from inferlog_ops.summarize.changes import StoredSummary, plan_changes
from inferlog_ops.summarize.summary import Summary, SummaryInterval, merge_to_hours

START = datetime(2026, 11, 23, 6, tzinfo=UTC)


def build_summary(requests: int, version: str | None = "v1", start: datetime = START) -> Summary:
    return Summary(
        interval=SummaryInterval.MINUTE,
        start=start,
        key=("scoring", None, version, "/v1/chat/completions", "success"),
        requests=requests,
        requests_with_latency=requests,
        latency_microseconds=requests * 250_000,
        latency_buckets=encode_counts({500: requests}),
        input_tokens=7 * requests,
        output_tokens=None,
        requests_with_cost=1,
        cost_nano_usd=12_345,
    )


def build_stored(summary: Summary, index: str = "index-000001") -> StoredSummary:
    return StoredSummary(summary=summary, document_id=summary.id, index=index, seq_no=3, primary_term=1)


def test_equal_summaries_need_no_change() -> None:
    changes = plan_changes([build_stored(build_summary(2))], [build_summary(2)])
    assert (changes.created, changes.replaced, changes.deleted, changes.unchanged) == ([], [], [], 1)


def test_more_events_replace_the_summary() -> None:
    old = build_stored(build_summary(2))
    assert plan_changes([old], [build_summary(3)]).replaced == [(old, build_summary(3))]


def test_new_combination_is_created() -> None:
    changes = plan_changes([build_stored(build_summary(2))], [build_summary(2), build_summary(1, "v2")])
    assert (changes.created, changes.unchanged) == ([build_summary(1, "v2")], 1)


def test_vanished_combination_is_deleted_if_no_request_is_lost() -> None:
    old = build_stored(build_summary(2))
    changes = plan_changes([old], [build_summary(2, "v2")])
    assert (changes.created, changes.deleted) == ([build_summary(2, "v2")], [old])


def test_summary_stays_after_the_deletion_of_its_events() -> None:
    changes = plan_changes([build_stored(build_summary(3)), build_stored(build_summary(2, "v2"))], [build_summary(4)])
    assert (changes.created, changes.replaced, changes.deleted, changes.unchanged) == ([], [], [], 2)


def test_each_minute_is_decided_on_its_own() -> None:
    later = START + timedelta(minutes=1)
    old = build_stored(build_summary(1, start=later))
    changes = plan_changes([build_stored(build_summary(3)), old], [build_summary(1), build_summary(2, start=later)])
    assert changes.replaced == [(old, build_summary(2, start=later))]


def test_copy_with_fewer_requests_is_deleted() -> None:
    """Two runs wrote one id into two backing indices."""
    fewer, more = build_stored(build_summary(2), "index-000002"), build_stored(build_summary(3), "index-000001")
    changes = plan_changes([fewer, more], [build_summary(3)])
    assert (changes.deleted, changes.replaced, changes.unchanged) == ([fewer], [], 1)


def test_missing_value_differs_from_every_other_in_the_id() -> None:
    versions = [None, "", "None", "v1"]
    assert len({build_summary(1, version).id for version in versions}) == len(versions)
    assert build_summary(1).id != replace(build_summary(1), interval=SummaryInterval.HOUR).id
    assert build_summary(1).id == build_summary(2).id


def test_document_and_summary_are_equivalent() -> None:
    for each in (
        build_summary(2),
        replace(build_summary(1, None), input_tokens=None, requests_with_cost=0, cost_nano_usd=0),
    ):
        assert Summary.from_document(each.to_document()) == each
    document = replace(
        build_summary(1), requests_with_latency=0, latency_buckets=(), latency_microseconds=0
    ).to_document()
    assert not {"latency_buckets", "latency_seconds_sum", "output_tokens"} & document.keys()


def test_hour_is_the_sum_of_its_minutes() -> None:
    minutes = [build_summary(1), build_summary(2, start=START + timedelta(minutes=59)), build_summary(4, "v2")]
    other_hour = build_summary(8, start=START + timedelta(minutes=60))
    hours = merge_to_hours([*minutes, replace(other_hour, input_tokens=None)])
    assert [(hour.start.hour, hour.key[2], hour.requests, hour.input_tokens) for hour in hours] == [
        (6, "v1", 3, 21),
        (6, "v2", 4, 28),
        (7, "v1", 8, None),
    ]
    assert (hours[0].latency_buckets, hours[0].cost_nano_usd) == (encode_counts({500: 3}), 24_690)
    assert {hour.interval for hour in hours} == {SummaryInterval.HOUR}
