"""Event timestamps against the shipper's clock: compared only where the difference is certain, reported everywhere."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import orjson
import pytest

from inferlog_ops.core.cluster import Cluster
from inferlog_ops.core.streams import stream_name
from inferlog_ops.query.dashboards import slo
from inferlog_ops.query.library import find
from inferlog_ops.query.library import load_all as load_queries
from inferlog_ops.query.rules.evaluate import firing_of
from inferlog_ops.query.rules.rules import load_all as load_rules
from inferlog_ops.query.run import run as ask
from inferlog_ops.ship.clock_skew import LIMIT_SECONDS, ClockSkew, Moment, event_time, skew_seconds
from tests.support.faulty_store import FaultyStore
from tests.support.polling import wait_until
from tests.support.shipping import QUICK, Place, event_line

NOW = Moment(wall_seconds=1_000_000.0, monotonic_seconds=500.0)
BEATING = replace(QUICK, heartbeat_seconds=0.2)


def before(seconds: float, *, wall_shift: float = 0.0) -> Moment:
    """Return a moment some seconds before `NOW`; its wall clock was off by *wall_shift* then."""
    return Moment(NOW.wall_seconds - seconds + wall_shift, NOW.monotonic_seconds - seconds)


@pytest.mark.parametrize(
    ("stamped_ago", "written_after", "wanted"),
    [
        pytest.param(-600.0, None, 600.0, id="in the future"),
        pytest.param(-600.0, before(1), 600.0, id="in the future, just written"),
        pytest.param(600.0, None, 0.0, id="in the past, perhaps read late"),
        pytest.param(600.0, before(1), -599.0, id="in the past, just written"),
        pytest.param(0.5, before(1), 0.0, id="within the last look"),
        pytest.param(3_000.0, before(3_600), 0.0, id="in the past, read late"),
        pytest.param(0.5, before(1, wall_shift=600), 0.0, id="this clock was set back in between"),
        pytest.param(0.5, before(1, wall_shift=-600), 0.0, id="this clock was set forward in between"),
    ],
)
def test_skew_is_reported_only_where_it_is_certain(
    stamped_ago: float, written_after: Moment | None, wanted: float
) -> None:
    assert skew_seconds(NOW.wall_seconds - stamped_ago, written_after=written_after, now=NOW) == wanted


def test_suspended_machine_is_no_skew() -> None:
    """The monotonic clock stops meanwhile: a line from before the suspension is read an hour later."""
    looked_at = Moment(NOW.wall_seconds - 3_600, NOW.monotonic_seconds - 1)
    assert skew_seconds(NOW.wall_seconds - 3_599.9, written_after=looked_at, now=NOW) == 0.0


@pytest.mark.parametrize(
    "line", [b"", b"{}", b'{"@timestamp":"yesterday at noon"}', b'{"@timestamp":17}', b"x" * 5_000 + event_line("a")]
)
def test_line_without_a_time_near_its_beginning_is_not_compared(line: bytes) -> None:
    clock = ClockSkew()
    clock.note("a", line, written_after=None)
    assert event_time(line) is None
    assert clock.seconds() is None


def test_largest_skew_of_all_files_counts_with_its_sign() -> None:
    clock = ClockSkew()
    for name, ahead_seconds in (("a", 100.0), ("b", -600.0), ("c", 5.0)):
        clock.note(name, line_at(ahead_seconds), written_after=Moment.now())
    assert clock.seconds() == pytest.approx(-600, abs=30)
    clock.note("b", line_at(0.0), written_after=Moment.now())
    assert clock.seconds() == pytest.approx(100, abs=30)


def test_file_without_a_new_line_for_a_while_no_longer_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = ClockSkew()
    clock.note("a", line_at(600.0), written_after=None)
    monkeypatch.setattr("inferlog_ops.ship.clock_skew._KEPT_SECONDS", -1.0)
    assert clock.seconds() is None


def test_shipper_and_rule_have_the_same_limit() -> None:
    assert slo.load().default["clock_skew_seconds"] == LIMIT_SECONDS


def line_at(ahead_seconds: float) -> bytes:
    """Return a line of a service whose clock is ahead by so many seconds."""
    stamped = datetime.now(UTC) + timedelta(seconds=ahead_seconds)
    return event_line(f"{stamped.timestamp()}", **{"@timestamp": stamped.isoformat()})


def append(path: Path, line: bytes) -> None:
    path.parent.mkdir(exist_ok=True)
    with path.open("ab") as file:
        file.write(line)


def said_while_appending(place: Place, path: Path, ahead_seconds: float, words: str) -> None:
    """Append lines until the status line holds *words*: one before the shipper's next look proves nothing."""

    def appended() -> bool:
        append(path, line_at(ahead_seconds))
        return words in place.said.getvalue()

    wait_until(appended, what="the status line")


def own_lines(place: Place) -> list[dict[str, Any]]:
    """Return the shipper's health lines in the folder."""
    return [
        orjson.loads(line)
        for path in place.logs.glob("health-inferlog_shipper-*.jsonl")
        for line in path.read_bytes().split(b"\n")[:-1]
    ]


def reported(place: Place) -> Iterator[float]:
    return (line["shipper"].get("clock_skew_seconds", 0.0) for line in own_lines(place))


def test_backlog_of_old_lines_is_no_skew(faulty: FaultyStore, faulty_cluster: Cluster, place: Place) -> None:
    append(place.events, line_at(-86_400.0))
    with place.tailing(faulty_cluster, BEATING):
        wait_until(lambda: len(own_lines(place)) >= 3 and faulty.stored, what="lines about it")
    assert all(abs(skew) < LIMIT_SECONDS for skew in reported(place))
    assert "clock skew" not in place.said.getvalue()


def test_skew_of_a_growing_file_is_reported_by_status_line_health_line_query_and_rule(
    provisioned: Cluster, place: Place
) -> None:
    late = place.logs / "events-late-1-1.jsonl"
    append(late, line_at(0.0))
    with place.tailing(provisioned, BEATING):
        wait_until(lambda: place.positions.get(late.name) == late.stat().st_size, what="the first line's answer")
        said_while_appending(place, late, -3_600.0, "behind this clock")
        wait_until(lambda: min(reported(place), default=0.0) < -3_000, what="a health line about events behind")
        append(late, line_at(0.0))
        said_while_appending(place, place.events, 600.0, "ahead of this clock")
        wait_until(lambda: max(reported(place), default=0.0) > 500, what="a health line about events ahead")
        (row,) = wait_until(lambda: rows(provisioned, above=500), what="the row of the shipper")
        assert row["state"] == "running"
        assert row["most_behind_seconds"] > 3_000
        assert firing(provisioned) == [row["service.instance.id"]]
        append(place.events, line_at(0.0))
        wait_until(lambda: not rows(provisioned, above=LIMIT_SECONDS), what="the clock that was set right")
        assert firing(provisioned) == []
    warned = {line["log"]["level"] for line in own_lines(place) if abs(line["shipper"]["clock_skew_seconds"]) > 500}
    assert warned == {"warning"}


def rows(cluster: Cluster, *, above: float) -> list[dict[str, Any]]:
    now = datetime.now(UTC)
    with cluster.client() as client:
        client.indices.refresh(index=stream_name("health", cluster.namespace))
    found = ask(cluster, find("clock_skew"), now - timedelta(minutes=5), now)
    return [row for row in found if row["skew_seconds"] > above]


def firing(cluster: Cluster) -> list[str]:
    """Return the shippers about which the rule fires."""
    rule = load_rules()["clock_skew"]
    alerts = firing_of(cluster, rule, slo.load(), load_queries(), datetime.now(UTC)).alerts
    return [alert.group["service.instance.id"] for alert in alerts]
