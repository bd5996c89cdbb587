"""3 000 instances: a rule fires for each that is silent, wherever it comes among the others."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson
import pytest
from typer.testing import CliRunner, Result

from inferlog_ops.cli import alerts
from inferlog_ops.core.cluster import Cluster
from inferlog_ops.provision.kibana import rules as kibana
from inferlog_ops.provision.kibana.capabilities import Capabilities
from inferlog_ops.query import library
from inferlog_ops.query.dashboards import slo
from inferlog_ops.query.rules import notify, rules
from inferlog_ops.query.rules.evaluate import Evaluation, evaluate
from inferlog_ops.query.run import run_query
from tests.support.indexing import create_fresh_cluster, index_many

QUERIES = library.load_all()
LEVELS = slo.load()
RULE = rules.find("silent_instance")
NOW = datetime(2026, 11, 23, 6, 0, tzinfo=UTC)
LATER = NOW + timedelta(minutes=10)
"""Time at which each running instance has been silent for too long."""
INSTANCES = 3_000
RUNNING = 1_500
MOST_ALERTS = 1_000

Document = dict[str, Any]


def _build_heartbeats() -> Iterator[Document]:
    for number in range(INSTANCES - 1):
        if number < RUNNING:
            yield _build_heartbeat("batch", number, NOW - timedelta(seconds=1), "service_heartbeat")
        else:
            yield _build_heartbeat("batch", number, NOW - timedelta(minutes=10), "service_stopped")
    yield _build_heartbeat("zz", 0, NOW - timedelta(minutes=2), "service_heartbeat")


def _build_heartbeat(service: str, number: int, at: datetime, message: str) -> Document:
    return {
        "@timestamp": at.isoformat(),
        "service": {"name": service, "instance": {"id": f"{service}-{number:04d}"}},
        "message": message,
        "events_written": 0,
        "events_dropped": 0,
    }


@pytest.fixture(scope="module")
def filled(engine_url: str) -> Cluster:
    cluster: Cluster = create_fresh_cluster(engine_url)
    index_many(cluster, "health", _build_heartbeats())
    return cluster


def _evaluate_rule(cluster: Cluster, at: datetime) -> Evaluation:
    evaluation = evaluate(cluster, [RULE], LEVELS, QUERIES, at)
    assert evaluation.failures == {}
    return evaluation


def test_every_instance_has_its_row(filled: Cluster) -> None:
    answer = run_query(filled, QUERIES["instances"], NOW - timedelta(minutes=30), NOW)
    assert len(answer.rows) == INSTANCES
    assert answer.notes == ()


def test_rule_fires_for_the_one_instance_that_is_silent(filled: Cluster) -> None:
    evaluation = _evaluate_rule(filled, NOW)
    assert [alert.group_text for alert in evaluation.alerts] == ["zz,zz-0000"]
    assert evaluation.not_listed == {}


def test_kibana_rule_text_has_no_limit_before_its_condition() -> None:
    for rule in rules.load_all().values():
        body = kibana.build_rule_body(
            rule, LEVELS, QUERIES, "default", connector="c", capabilities=Capabilities(alerts_by_row=True)
        )
        text = body["params"]["esqlQuery"]["esql"]
        code = [line for line in text.splitlines() if not line.startswith("//")]
        assert [line for line in code if line.startswith("| LIMIT")] == [f"| LIMIT {MOST_ALERTS}"]
        assert code[-1].startswith("| LIMIT")


def test_alerts_beyond_the_most_are_counted_and_the_worst_is_listed(filled: Cluster) -> None:
    evaluation = _evaluate_rule(filled, LATER)
    assert len(evaluation.alerts) == MOST_ALERTS
    assert evaluation.alerts[0].group["service.name"] == "zz"
    assert evaluation.not_listed == {RULE.name: RUNNING + 1 - MOST_ALERTS}
    assert evaluation.as_json()["not_listed"] == {RULE.name: RUNNING + 1 - MOST_ALERTS}


def test_webhook_gets_the_number_of_all_alerts(filled: Cluster) -> None:
    head, *lines = notify.build_message(_evaluate_rule(filled, LATER))["text"].splitlines()
    assert head.endswith(f": {RUNNING + 1} alerts fire")
    assert lines[-1] == "[not listed] silent_instance: at least 501 more"


def _check(cluster: Cluster, *arguments: str) -> Result:
    of_cluster = ["--url", cluster.url, "--namespace", cluster.namespace, "--at", LATER.isoformat()]
    return CliRunner().invoke(alerts.app, ["check", "--rule", RULE.name, *of_cluster, *arguments])


def test_check_prints_the_number_of_unlisted_alerts(filled: Cluster) -> None:
    result = _check(filled)
    assert result.exit_code == 1
    assert "silent_instance: at least 501 more alerts fire than the table shows" in result.stderr


def test_check_json_has_the_number_of_unlisted_alerts(filled: Cluster) -> None:
    checked = orjson.loads(_check(filled, "--json").stdout)
    assert len(checked["firing"]) == MOST_ALERTS
    assert checked["not_listed"] == {RULE.name: 501}
