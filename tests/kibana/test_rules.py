"""Each rule, executed by a real Kibana: it fires, its document is an alert, and it recovers."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest

from inferlog_ops.core.cluster import Cluster
from inferlog_ops.provision.desired import DesiredObject, ProvisionOutcome, Request, ensure
from inferlog_ops.provision.elasticsearch import provision_cluster
from inferlog_ops.provision.kibana.capabilities import Capabilities, detect_capabilities
from inferlog_ops.provision.kibana.client import KibanaClient
from inferlog_ops.provision.kibana.rules import build_connector, build_rule
from inferlog_ops.query import library
from inferlog_ops.query.rules import rules
from inferlog_ops.query.rules.evaluate import evaluate_rule
from inferlog_ops.query.run import fetch_rows
from tests.support.alert_cases import LEVELS, Case, build_cases
from tests.support.polling import wait_until
from tests.support.real_kibana import require_kibana

pytestmark = pytest.mark.kibana

KIBANA, ELASTICSEARCH = require_kibana()
RULES = rules.load_all()
QUERIES = library.load_all()
FIRING = {name: next(case for case in build_cases() if case.rule == name and len(case.fires) == 1) for name in RULES}
SEVERAL = Case(
    rule="p99_latency",
    what="two versions are slow",
    documents=[
        ("events", {**document, "model_version": version, "latency_seconds": 9.0})
        for version in ("v1", "v2")
        for _stream, document in FIRING["p99_latency"].documents
    ],
    fires={"v1": 9.0, "v2": 9.0},
)
NO_PATIENCE_SECONDS = 120.0


@dataclass
class RunningRule:
    """A rule in Kibana, and the cluster that it queries."""

    client: KibanaClient
    cluster: Cluster
    capabilities: Capabilities
    rule: rules.Rule
    desired: DesiredObject

    def run_soon(self) -> None:
        path = f"/internal/alerting/rule/{self.desired.read.path.rpartition('/')[2]}/_run_soon"
        headers = {"x-elastic-internal-origin": "kibana"}
        self.client.send_outside_space(Request(method="POST", path=path), "running a rule", headers=headers)

    def read_last_run(self) -> dict[str, Any]:
        answer = self.client.send(self.desired.read, "reading a rule").json
        assert answer.get("execution_status", {}).get("error") is None, answer
        return answer.get("last_run") or {}

    def fetch_alerts(self, *, later: timedelta = timedelta(seconds=1)) -> list[dict[str, Any]]:
        end = datetime.now(UTC) + later
        return fetch_rows(self.cluster, QUERIES["alerts"], end - timedelta(hours=2), end)

    def index(self, case: Case) -> None:
        operations: list[dict[str, Any]] = []
        for stream, document in case.build_lines(datetime.now(UTC)):
            name = f"logs-inference.{stream}-{self.cluster.namespace}"
            operations += [{"create": {"_index": name, "_id": document["event"]["id"]}}, document]
        with self.cluster.build_client() as client:
            answer = client.bulk(operations=operations, refresh=True, require_data_stream=True)
        assert not answer["errors"], answer

    def delete_documents(self) -> None:
        pattern = f"logs-inference.*-{self.cluster.namespace}"
        with self.cluster.build_client() as client:
            hits = client.search(index=pattern, size=10_000, source=False)["hits"]["hits"]
            operations = [{"delete": {"_index": hit["_index"], "_id": hit["_id"]}} for hit in hits]
            assert not client.bulk(operations=operations, refresh=True)["errors"]


@pytest.fixture
def running(request: pytest.FixtureRequest) -> Iterator[RunningRule]:
    """The rule of the case in the test's parameter, in a namespace with the documents of the case."""
    case: Case = request.param
    cluster = replace(ELASTICSEARCH, namespace=f"t{uuid4().hex[:15]}")
    provision_cluster(cluster)
    with KibanaClient(KIBANA) as client:
        capabilities = detect_capabilities(client)
        connector = build_connector(cluster.namespace)
        rule = RULES[case.rule]
        desired = build_rule(rule, LEVELS, QUERIES, cluster.namespace, (), capabilities=capabilities)
        running = RunningRule(client, cluster, capabilities, rule, desired)
        running.index(case)
        try:
            outcomes = [ensure(client, each) for each in (connector, desired)]
            assert [each.outcome for each in outcomes] == [ProvisionOutcome.CREATED] * 2, [
                each.reason for each in outcomes
            ]
            yield running
        finally:
            for each in (desired, connector):
                client.send(Request(method="DELETE", path=each.read.path), "cleaning up")


@pytest.mark.parametrize("running", FIRING.values(), ids=FIRING, indirect=True)
def test_rule_fires_and_recovers(running: RunningRule) -> None:
    case = FIRING[running.rule.name]
    ((group, figure),) = case.fires.items()
    (found,) = wait_until(running.fetch_alerts, NO_PATIENCE_SECONDS, "an alert in the index")
    (checked,) = evaluate_rule(running.cluster, running.rule, LEVELS, QUERIES, datetime.now(UTC)).alerts
    assert (found["rule.name"], found["severity"]) == (running.rule.title, running.rule.severity.value)
    assert (found["group"], found["state"]) == (group, "firing")
    assert found["model_version"] == checked.group.get("model_version", "(all)")
    assert figure * 0.99 <= found["value"] <= figure * 1.01 + NO_PATIENCE_SECONDS
    assert found["threshold"] == pytest.approx(checked.threshold)
    assert [text.partition(" ")[0] for text in found["figures"].split(", ")] == list(checked.figures)
    running.delete_documents()
    running.run_soon()
    wait_until(
        lambda: running.read_last_run().get("alerts_count", {}).get("active") == 0, NO_PATIENCE_SECONDS, "recovery"
    )
    assert running.read_last_run()["outcome"] == "succeeded"
    assert [alert["state"] for alert in running.fetch_alerts(later=3 * running.rule.every)] == ["over"]


@pytest.mark.parametrize("running", [SEVERAL], indirect=True)
def test_several_groups_are_all_in_the_index(running: RunningRule) -> None:
    found = wait_until(running.fetch_alerts, NO_PATIENCE_SECONDS, "the alerts in the index")
    if running.capabilities.alerts_by_row:
        found = wait_until(
            lambda: rows if len(rows := running.fetch_alerts()) == len(SEVERAL.fires) else None,
            NO_PATIENCE_SECONDS,
            "an alert of each group",
        )
        assert {alert["group"]: alert["value"] for alert in found} == SEVERAL.fires
        return
    (alert,) = found
    assert (alert["group"], alert["model_version"]) == ("v1; v2", "v1; v2")
    assert alert["value"] is None
    assert alert["threshold"] == LEVELS.default["p99_latency_seconds"]
    assert [figures.partition(",")[0] for figures in alert["figures"].split("; ")] == [
        "v1: p99_seconds 9.0",
        "v2: p99_seconds 9.0",
    ]
