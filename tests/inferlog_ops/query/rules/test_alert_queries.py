"""Alert queries of the dashboard on a real engine with known alerts."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest

from inferlog_ops.core.cluster import Cluster
from inferlog_ops.provision.elasticsearch import provision_cluster
from inferlog_ops.query import library
from inferlog_ops.query.rules.alerts import Alert, record
from inferlog_ops.query.rules.rules import find
from inferlog_ops.query.run import fetch_rows, run_query
from tests.support.panel_queries import check_head

NOW = datetime(2026, 11, 23, 6, 0, tzinfo=UTC)
START, END = NOW - timedelta(minutes=14), NOW
QUERIES = {name: query for name, query in library.load_all().items() if "FROM inferlog-alerts-*" in query.text}
LATENCY, LOST = "p99 latency is over its service level", "Events were lost"


def _build_alert(rule: str, group: dict[str, Any], minutes_ago: int, value: float) -> Alert:
    at = NOW - timedelta(minutes=minutes_ago, seconds=5)
    return Alert(
        rule=find(rule), group=group, value=value, threshold=5.0, figures={"x": value}, start=at, end=at, at=at
    )


ALERTS = [
    *(_build_alert("p99_latency", {"model_version": "v1"}, ago, 6.0 + ago) for ago in (0, 1, 2)),
    *(_build_alert("p99_latency", {"model_version": "v2"}, ago, 7.0) for ago in (9, 10)),
    _build_alert("lost_events", {"service.name": "scoring", "service.instance.id": "i1"}, 12, 3.0),
    _build_alert("lost_events", {"service.name": "scoring", "service.instance.id": "i2"}, 12, 4.0),
    _build_alert("error_rate", {"model_version": "v1"}, 20, 0.5),
]


@pytest.fixture(scope="module")
def filled(engine_url: str) -> Cluster:
    cluster = Cluster(url=engine_url, namespace=f"t{uuid4().hex[:15]}")
    provision_cluster(cluster)
    assert fetch_rows(cluster, QUERIES["alerts"], START, END) == []
    assert record(cluster, ALERTS) == len(ALERTS)
    return cluster


def test_each_alert_is_one_row_with_its_latest_figures_and_whether_it_still_fires(filled: Cluster) -> None:
    rows = fetch_rows(filled, QUERIES["alerts"], START, END)
    names = ("state", "severity", "rule.name", "group", "model_version", "value", "figures", "times")
    assert [tuple(row[name] for name in names) for row in rows] == [
        ("firing", "critical", LATENCY, "v1", "v1", 6.0, "x 6", 3),
        ("over", "critical", LATENCY, "v2", "v2", 7.0, "x 7", 2),
        ("over", "critical", LOST, "scoring,i1", "(all)", 3.0, "x 3", 1),
        ("over", "critical", LOST, "scoring,i2", "(all)", 4.0, "x 4", 1),
    ]
    assert (rows[0]["first_fired"], rows[0]["last_fired"]) == ("2026-11-23T05:57:55.000Z", "2026-11-23T05:59:55.000Z")
    assert {row["threshold"] for row in rows} == {5.0}


def test_firing_alerts_are_counted_separately_from_recovered_ones(filled: Cluster) -> None:
    (row,) = fetch_rows(filled, QUERIES["alerts_firing"], START, END)
    assert (row["severity"], row["firing"], row["fired"]) == ("critical", 1, 4)
    later = fetch_rows(filled, QUERIES["alerts_firing"], START, END + timedelta(minutes=3))
    assert [row["firing"] for row in later] == [0]


def test_each_rule_has_its_firing_time_by_version(filled: Cluster) -> None:
    rows = fetch_rows(filled, QUERIES["alerts_by_model_version"], START, END)
    assert [tuple(row.values()) for row in rows] == [
        (LATENCY, "v1", 1, 180),
        (LATENCY, "v2", 1, 120),
        (LOST, "(all)", 2, 60),
    ]


def test_alerts_over_time_are_counted_once_in_each_slice(filled: Cluster) -> None:
    rows = fetch_rows(filled, QUERIES["alerts_over_time"], START, END)
    assert [(row["bucket"][11:19], row["rule.name"], row["alerts"]) for row in rows] == [
        ("05:47:45", LOST, 2),
        ("05:49:45", LATENCY, 1),
        ("05:50:45", LATENCY, 1),
        ("05:57:45", LATENCY, 1),
        ("05:58:45", LATENCY, 1),
        ("05:59:45", LATENCY, 1),
    ]
    day = fetch_rows(filled, QUERIES["alerts_over_time"], END - timedelta(days=1), END)
    assert [(row["rule.name"], row["alerts"]) for row in day if row["rule.name"] != LOST][-1] == (LATENCY, 2)


@pytest.mark.parametrize("name", QUERIES)
def test_one_model_version_is_selected(name: str, filled: Cluster) -> None:
    rows = fetch_rows(filled, QUERIES[name], START, END, "v2")
    assert rows
    assert {row.get("model_version", "v2") for row in rows} == {"v2"}
    assert {row.get("rule.name", LATENCY) for row in rows} == {LATENCY}


@pytest.mark.parametrize("name", QUERIES)
def test_head_of_the_file_names_the_columns_of_the_answer(name: str, filled: Cluster) -> None:
    answer = run_query(filled, QUERIES[name], END + timedelta(days=1), END + timedelta(days=2))
    check_head(QUERIES[name], [column.name for column in answer.columns])
    assert answer.rows == []
