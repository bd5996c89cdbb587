"""Clock skew between event timestamps and the shipper: reported only if certain, and in every output."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import orjson
import pytest

from inferlog_ops.core.cluster import Cluster
from inferlog_ops.core.streams import build_stream_name
from inferlog_ops.query.dashboards import slo
from inferlog_ops.query.library import find
from inferlog_ops.query.library import load_all as load_queries
from inferlog_ops.query.rules.evaluate import evaluate_rule
from inferlog_ops.query.rules.rules import load_all as load_rules
from inferlog_ops.query.run import fetch_rows
from inferlog_ops.ship.clock_skew import LIMIT_SECONDS, ClockSkew, Moment, compute_skew, read_event_time
from tests.support.faulty_store import FaultyStore
from tests.support.polling import wait_until
from tests.support.shipping import QUICK, ShipperDirs, build_event_line

NOW = Moment(wall_seconds=1_000_000.0, monotonic_seconds=500.0)
BEATING = replace(QUICK, heartbeat_seconds=0.2)


def build_moment_before(seconds: float, *, wall_shift: float = 0.0) -> Moment:
    """Return a moment some seconds before `NOW`, with a wall clock that was off by *wall_shift*."""
    return Moment(NOW.wall_seconds - seconds + wall_shift, NOW.monotonic_seconds - seconds)


@pytest.mark.parametrize(
    ("stamped_ago", "written_after", "wanted"),
    [
        pytest.param(-600.0, None, 600.0, id="in the future"),
        pytest.param(-600.0, build_moment_before(1), 600.0, id="in the future, just written"),
        pytest.param(600.0, None, 0.0, id="in the past, perhaps read late"),
        pytest.param(600.0, build_moment_before(1), -599.0, id="in the past, just written"),
        pytest.param(0.5, build_moment_before(1), 0.0, id="within the last look"),
        pytest.param(3_000.0, build_moment_before(3_600), 0.0, id="in the past, read late"),
        pytest.param(0.5, build_moment_before(1, wall_shift=600), 0.0, id="this clock was set back in between"),
        pytest.param(0.5, build_moment_before(1, wall_shift=-600), 0.0, id="this clock was set forward in between"),
    ],
)
def test_skew_is_reported_only_where_it_is_certain(
    stamped_ago: float, written_after: Moment | None, wanted: float
) -> None:
    assert compute_skew(NOW.wall_seconds - stamped_ago, written_after=written_after, now=NOW) == wanted


def test_suspended_machine_causes_no_skew() -> None:
    """The monotonic clock stops during a suspension: an older line is read an hour later."""
    looked_at = Moment(NOW.wall_seconds - 3_600, NOW.monotonic_seconds - 1)
    assert compute_skew(NOW.wall_seconds - 3_599.9, written_after=looked_at, now=NOW) == 0.0


@pytest.mark.parametrize(
    "line",
    [b"", b"{}", b'{"@timestamp":"yesterday at noon"}', b'{"@timestamp":17}', b"x" * 5_000 + build_event_line("a")],
)
def test_line_without_a_timestamp_near_its_beginning_is_not_compared(line: bytes) -> None:
    clock = ClockSkew()
    clock.note("a", line, written_after=None)
    assert read_event_time(line) is None
    assert clock.find_largest_seconds() is None


def test_largest_skew_of_all_files_is_reported_with_its_sign() -> None:
    clock = ClockSkew()
    for name, ahead_seconds in (("a", 100.0), ("b", -600.0), ("c", 5.0)):
        clock.note(name, build_line(ahead_seconds), written_after=Moment.read_clocks())
    assert clock.find_largest_seconds() == pytest.approx(-600, abs=30)
    clock.note("b", build_line(0.0), written_after=Moment.read_clocks())
    assert clock.find_largest_seconds() == pytest.approx(100, abs=30)


def test_skew_of_a_file_expires_without_new_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = ClockSkew()
    clock.note("a", build_line(600.0), written_after=None)
    monkeypatch.setattr("inferlog_ops.ship.clock_skew._KEPT_SECONDS", -1.0)
    assert clock.find_largest_seconds() is None


def test_shipper_and_rule_have_the_same_limit() -> None:
    assert slo.load().default["clock_skew_seconds"] == LIMIT_SECONDS


def build_line(ahead_seconds: float) -> bytes:
    """Return a line of a service whose clock is ahead by this number of seconds."""
    stamped = datetime.now(UTC) + timedelta(seconds=ahead_seconds)
    return build_event_line(f"{stamped.timestamp()}", **{"@timestamp": stamped.isoformat()})


def append(path: Path, line: bytes) -> None:
    path.parent.mkdir(exist_ok=True)
    with path.open("ab") as file:
        file.write(line)


def append_until_status_contains(place: ShipperDirs, path: Path, ahead_seconds: float, words: str) -> None:
    """Append lines until the status line contains *words*: a line before the next poll is not sufficient."""

    def append_and_check() -> bool:
        append(path, build_line(ahead_seconds))
        return words in place.said.getvalue()

    wait_until(append_and_check, what="the status line")


def read_health_lines(place: ShipperDirs) -> list[dict[str, Any]]:
    """Return the health lines of the shipper in the folder."""
    return [
        orjson.loads(line)
        for path in place.logs.glob("health-inferlog_shipper-*.jsonl")
        for line in path.read_bytes().split(b"\n")[:-1]
    ]


def find_reported_skew(place: ShipperDirs) -> Iterator[float]:
    return (line["shipper"].get("clock_skew_seconds", 0.0) for line in read_health_lines(place))


def test_backlog_of_old_lines_causes_no_skew(faulty: FaultyStore, faulty_cluster: Cluster, place: ShipperDirs) -> None:
    append(place.events, build_line(-86_400.0))
    with place.run_shipper(faulty_cluster, BEATING):
        wait_until(lambda: len(read_health_lines(place)) >= 3 and faulty.stored, what="lines about it")
    assert all(abs(skew) < LIMIT_SECONDS for skew in find_reported_skew(place))
    assert "clock skew" not in place.said.getvalue()


def test_skew_of_a_growing_file_is_reported_by_status_line_health_line_query_and_rule(
    provisioned: Cluster, place: ShipperDirs
) -> None:
    late = place.logs / "events-late-1-1.jsonl"
    append(late, build_line(0.0))
    with place.run_shipper(provisioned, BEATING):
        wait_until(lambda: place.offsets.get(late.name) == late.stat().st_size, what="the first line's answer")
        append_until_status_contains(place, late, -3_600.0, "behind this clock")
        wait_until(
            lambda: min(find_reported_skew(place), default=0.0) < -3_000, what="a health line about events behind"
        )
        append(late, build_line(0.0))
        append_until_status_contains(place, place.events, 600.0, "ahead of this clock")
        wait_until(lambda: max(find_reported_skew(place), default=0.0) > 500, what="a health line about events ahead")
        (row,) = wait_until(lambda: run_query(provisioned, above=500), what="the row of the shipper")
        assert row["state"] == "running"
        assert row["most_behind_seconds"] > 3_000
        assert find_firing_shippers(provisioned) == [row["service.instance.id"]]
        append(place.events, build_line(0.0))
        wait_until(lambda: not run_query(provisioned, above=LIMIT_SECONDS), what="the clock that was set right")
        assert find_firing_shippers(provisioned) == []
    warned = {
        line["log"]["level"] for line in read_health_lines(place) if abs(line["shipper"]["clock_skew_seconds"]) > 500
    }
    assert warned == {"warning"}


def run_query(cluster: Cluster, *, above: float) -> list[dict[str, Any]]:
    now = datetime.now(UTC)
    with cluster.build_client() as client:
        client.indices.refresh(index=build_stream_name("health", cluster.namespace))
    found = fetch_rows(cluster, find("clock_skew"), now - timedelta(minutes=5), now)
    return [row for row in found if row["skew_seconds"] > above]


def find_firing_shippers(cluster: Cluster) -> list[str]:
    """Return the shippers for which the rule fires."""
    rule = load_rules()["clock_skew"]
    alerts = evaluate_rule(cluster, rule, slo.load(), load_queries(), datetime.now(UTC)).alerts
    return [alert.group["service.instance.id"] for alert in alerts]
