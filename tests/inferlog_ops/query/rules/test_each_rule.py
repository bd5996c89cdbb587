"""Each rule on a real engine with known events: fires exactly in the expected cases."""

import operator
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest

from inferlog_ops.core.cluster import Cluster
from inferlog_ops.provision.elasticsearch import provision_cluster
from inferlog_ops.query import library
from inferlog_ops.query.dashboards import slo
from inferlog_ops.query.rules import rules
from inferlog_ops.query.rules.evaluate import evaluate, evaluate_rule
from tests.support.alert_cases import LEVELS, Case, build_cases

CASES = build_cases()
RULES = rules.load_all()
QUERIES = library.load_all()


@pytest.fixture(scope="module")
def filled(engine_url: str) -> Cluster:
    """An engine that holds the events of all cases."""
    cluster = Cluster(url=engine_url, namespace=f"t{uuid4().hex[:15]}")
    provision_cluster(cluster)
    operations: list[dict[str, Any]] = []
    for case in CASES:
        for stream, document in case.build_lines(case.at):
            name = f"logs-inference.{stream}-{cluster.namespace}"
            operations += [{"create": {"_index": name, "_id": document["event"]["id"]}}, document]
    with cluster.build_client() as client:
        answer = client.bulk(operations=operations, refresh=True, require_data_stream=True)
    assert not answer["errors"], [item for item in answer["items"] if item["create"]["status"] >= 300][:3]
    return cluster


@pytest.mark.parametrize("case", CASES, ids=str)
def test_rule_fires_on_its_side_of_the_threshold_only(case: Case, filled: Cluster) -> None:
    alerts = evaluate_rule(filled, RULES[case.rule], LEVELS, QUERIES, case.at).alerts
    assert {alert.group_text: alert.value for alert in alerts} == pytest.approx(case.fires)


@pytest.mark.parametrize("case", [case for case in CASES if case.fires], ids=str)
def test_alert_has_all_figures_and_the_evaluated_range(case: Case, filled: Cluster) -> None:
    rule = RULES[case.rule]
    beyond = operator.lt if case.rule == "fluentd_buffer_low" else operator.gt
    for alert in evaluate_rule(filled, rule, LEVELS, QUERIES, case.at).alerts:
        assert tuple(alert.figures) == rule.figures
        assert alert.figures[rule.figures[0]] == alert.value
        assert alert.threshold is not None
        assert alert.value is not None
        assert beyond(alert.value, alert.threshold)
        assert alert.end == case.at - rule.settle
        assert alert.end - alert.start == rule.window


def test_threshold_is_the_one_of_the_version(filled: Cluster) -> None:
    (case,) = (case for case in CASES if "v8" in case.fires)
    (alert,) = evaluate_rule(filled, RULES["p99_latency"], LEVELS, QUERIES, case.at).alerts
    assert (alert.group, alert.threshold) == ({"model_version": "v8"}, 20.0)


def test_no_rule_fires_without_events(filled: Cluster) -> None:
    evaluation = evaluate(filled, list(RULES.values()), slo.load(), QUERIES, CASES[0].at - timedelta(days=9))
    assert (evaluation.alerts, evaluation.failures) == ([], {})
    assert evaluation.rules == len(RULES)
