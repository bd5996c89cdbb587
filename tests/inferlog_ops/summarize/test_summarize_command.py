"""``inferlog summarize`` as a person, cron and a container run it."""

import json
import signal
from datetime import UTC, datetime, timedelta

import pytest

from inferlog_ops.core import progress
from inferlog_ops.core.cluster import Cluster
from tests.support import commands
from tests.support.indexing import index
from tests.support.polling import wait_until
from tests.support.summarizing import MINUTE, NOON, build_event, count_requests, list_differences, list_documents

HOUR = timedelta(hours=1)


def build_options(cluster: Cluster) -> list[str]:
    return ["summarize", "--url", cluster.url, "--namespace", cluster.namespace]


def test_result_is_one_line_and_check_agrees_until_an_event_arrives(
    provisioned: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(progress, "_QUIET_SECONDS", 3600.0)  # a slow run prints its progress
    index(provisioned, "events", [build_event(NOON), build_event(NOON, 0.5), build_event(NOON, 0.5, "v2")])
    first = commands.run_here(*build_options(provisioned))
    assert first.returncode == 0, first.stderr
    assert first.stdout == (
        "1 minute summarized, 0 of them with late events. Documents: 4 created, 0 replaced, 0 deleted, 0 unchanged.\n"
    )
    assert first.stderr == ""
    agrees = commands.run_here(*build_options(provisioned), "--check")
    assert (agrees.returncode, agrees.stdout) == (0, "The summaries of 1 minute agree with the events.\n")
    index(provisioned, "events", [build_event(NOON)])
    differs = commands.run_here(*build_options(provisioned), "--check")
    assert differs.returncode == 1
    assert differs.stdout.splitlines() == [
        "1 of 1 minutes and their hours differ:",
        "2026-11-23 12:00 UTC, 60 s: 4 events, 3 summarized",
    ]
    again = json.loads(commands.run(*build_options(provisioned), "--json").stdout)
    assert again == {
        "minutes": 1,
        "late_minutes": 0,
        "created": 0,
        "replaced": 2,
        "deleted": 0,
        "unchanged": 2,
        "left_out_events": 0,
        "prevented": 0,
        "future_summaries": 0,
        "left_out_values": [],
        "failures": [],
    }
    checked = json.loads(commands.run(*build_options(provisioned), "--check", "--json").stdout)
    assert checked == {"minutes": 1, "differences": []}


def test_minute_and_version_of_a_value_too_large_for_a_sum_are_reported(provisioned: Cluster) -> None:
    index(provisioned, "events", [build_event(NOON, 1e300, "v2"), build_event(NOON), build_event(NOON + MINUTE)])
    done = commands.run(*build_options(provisioned))
    assert done.returncode == 4
    assert done.stdout.startswith("2 minutes summarized, ")
    assert done.stderr == (
        "2026-11-23 12:00 UTC, v2: 1 event with values in no sum: "
        "over 1,000,000,000,000 tokens, 10,000,000 s or 10,000 US$\n"
    )
    assert commands.run_here(*build_options(provisioned)).returncode == 0


def test_summaries_of_the_future_are_reported(provisioned: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "_QUIET_SECONDS", 3600.0)
    tomorrow = datetime.now(UTC) + timedelta(days=1)
    index(provisioned, "events", [build_event(tomorrow)])
    done = commands.run_here(*build_options(provisioned), f"--to={(tomorrow + HOUR).isoformat()}")
    assert (done.returncode, done.stderr) == (
        0,
        "1 summary is of minutes in the future; compare the clocks of the hosts\n",
    )


def test_late_events_of_minutes_with_deleted_events_are_reported(
    provisioned: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(progress, "_QUIET_SECONDS", 3600.0)
    stream = f"logs-inference.events-{provisioned.namespace}"
    index(provisioned, "events", [build_event(NOON)])
    assert commands.run_here(*build_options(provisioned)).returncode == 0
    with provisioned.build_client() as client:
        before = client.indices.rollover(alias=stream)["old_index"]
        client.indices.delete(index=before)
    index(provisioned, "events", [build_event(NOON), build_event(NOON)])
    done = commands.run_here(*build_options(provisioned))
    assert (done.returncode, done.stderr) == (
        4,
        "1 event is in no summary: its minute was summarized before older events were deleted\n",
    )
    assert commands.run_here(*build_options(provisioned), "--check").returncode == 1


@pytest.mark.parametrize("option", ["--from=1800-01-01", "--to=2400-01-01", "--to=1969-01-01"])
def test_range_outside_the_years_of_elasticsearch_is_rejected(option: str) -> None:
    done = commands.run_here("summarize", "--url", "http://127.0.0.1:1", option)
    assert done.returncode == 2
    assert done.stderr.startswith("inferlog: the range from ")
    assert done.stderr.count("\n") == 1


def test_check_counts_the_differences_that_it_does_not_show(provisioned: Cluster) -> None:
    index(provisioned, "events", [build_event(NOON - MINUTE * number) for number in range(22)])
    differs = commands.run_here(*build_options(provisioned), "--check")
    assert len(differs.stdout.splitlines()) == 1 + 20
    assert differs.stderr.splitlines()[-1] == "… and 2 more; --json lists all of them"  # after any progress


def test_killed_run_is_completed_by_the_next(provisioned: Cluster) -> None:
    index(provisioned, "events", [build_event(NOON - timedelta(hours=8) * number) for number in range(60)])
    process = commands.begin(*build_options(provisioned))
    try:
        wait_until(lambda: len(list_documents(provisioned)) > 2, 240, "the first summaries")
    finally:
        process.kill()
        process.communicate()
    assert len(list_documents(provisioned)) < 120
    assert commands.run_here(*build_options(provisioned)).returncode == 0
    assert count_requests(provisioned, NOON - timedelta(days=30), NOON + HOUR) == 60
    assert list_differences(provisioned, NOON - timedelta(days=30), NOON + HOUR) == []


def test_repeating_command_summarizes_new_events_until_it_is_stopped(provisioned: Cluster) -> None:
    process = commands.begin(*build_options(provisioned), "--every", "1s")
    try:
        index(provisioned, "events", [build_event(NOON)])
        wait_until(lambda: len(list_documents(provisioned)) == 2, 120, "the first summary")
        index(provisioned, "events", [build_event(NOON + MINUTE)])
        wait_until(lambda: len(list_documents(provisioned)) == 3, 120, "the second one")
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0
    finally:
        process.kill()
        process.communicate()


def test_repeating_command_reports_a_failure_and_goes_on(cluster: Cluster) -> None:
    """The streams are provisioned later."""
    process = commands.begin(*build_options(cluster), "--every", "1s")
    assert process.stderr is not None
    try:
        lines = [process.stderr.readline() for _ in range(2)]
        assert process.poll() is None
    finally:
        process.kill()
        process.communicate()
    assert all(f"lacks the stream logs-inference.events-{cluster.namespace}" in line for line in lines)


def test_missing_stream_is_one_sentence_with_the_command(cluster: Cluster) -> None:
    done = commands.run_here(*build_options(cluster))
    assert done.returncode == 1
    assert f"create it with: inferlog provision --namespace {cluster.namespace}" in done.stderr
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["--every", "5m", "--check"], "--check and --every are mutually exclusive"),
        (["--every", "often"], "'often' is not a duration"),
        (["--every", "99999999w"], "--every 99999999w is more than 366 days"),
        (["--lookback", "2"], "'2' is not a duration"),
        (["--from", "yesterday"], "--from is 'yesterday'; expected ISO 8601"),
        (["--from", "2026-11-23", "--to", "2026-11-22"], "is empty; its end must be after its start"),
    ],
)
def test_wrong_option_is_named(arguments: list[str], complaint: str) -> None:
    done = commands.run_here("summarize", "--url", "http://127.0.0.1:1", *arguments)
    assert done.returncode == 2
    assert complaint in done.stderr


def test_silent_cluster_is_named() -> None:
    done = commands.run_here("summarize", "--url", "http://127.0.0.1:1")
    assert done.returncode == 1
    assert "summarizing events: no answer from http://127.0.0.1:1" in done.stderr


def test_long_lookback_reaches_back_to_the_first_event(provisioned: Cluster) -> None:
    index(provisioned, "events", [build_event(NOON)])
    assert commands.run_here(*build_options(provisioned)).returncode == 0
    index(provisioned, "events", [build_event(NOON - timedelta(days=999))])
    assert commands.run_here(*build_options(provisioned), "--lookback", "99999999d").returncode == 0
    assert len(list_documents(provisioned)) == 4


def test_current_minute_is_not_summarized(provisioned: Cluster) -> None:
    index(provisioned, "events", [build_event(datetime.now(UTC))])
    assert commands.run_here(*build_options(provisioned)).returncode == 0
    assert list_documents(provisioned) == []
