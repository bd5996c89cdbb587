"""``inferlog alerts`` as a person, cron and CI call it; each exit code by a process of its own."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any
from uuid import uuid4

import orjson
import pytest
from typer.testing import CliRunner, Result

from inferlog_ops.cli import alerts
from inferlog_ops.core.cluster import Cluster
from inferlog_ops.core.errors import OperatorError
from inferlog_ops.provision.elasticsearch import provision_cluster
from inferlog_ops.query import library, run
from inferlog_ops.query.rules import rules
from inferlog_ops.query.run import fetch_rows
from tests.support import commands
from tests.support.alert_cases import Case, build_cases
from tests.support.indexing import index
from tests.support.webhook import Webhook, run_webhook

CASES = {(case.rule, case.what): case for case in build_cases()}
FIRING = CASES["p99_latency", "two of 101 are slow"]
BEFORE = FIRING.at - timedelta(days=9)


@pytest.fixture(scope="module")
def filled(engine_url: str) -> Cluster:
    """An engine in which one rule fires at one moment."""
    cluster = Cluster(url=engine_url, namespace=f"t{uuid4().hex[:15]}")
    provision_cluster(cluster)
    _index(cluster, FIRING)
    return cluster


@pytest.fixture
def receiver() -> Iterator[Webhook]:
    with run_webhook() as receiver:
        yield receiver


def _index(cluster: Cluster, case: Case) -> None:
    operations: list[dict[str, Any]] = []
    for stream, document in case.build_lines(case.at):
        name = f"logs-inference.{stream}-{cluster.namespace}"
        operations += [{"create": {"_index": name, "_id": document["event"]["id"]}}, document]
    with cluster.build_client() as client:
        assert not client.bulk(operations=operations, refresh=True, require_data_stream=True)["errors"]


def _build_arguments(cluster: Cluster, at: datetime) -> list[str]:
    return ["check", "--url", cluster.url, "--namespace", cluster.namespace, "--at", at.isoformat()]


def _check(cluster: Cluster, at: datetime, *arguments: str) -> Result:
    return CliRunner().invoke(alerts.app, [*_build_arguments(cluster, at), *arguments])


def _check_in_a_process(cluster: Cluster, at: datetime, *arguments: str) -> CompletedProcess[str]:
    return commands.run("alerts", *_build_arguments(cluster, at), *arguments)


def test_firing_rule_is_printed_with_its_figures_and_ends_with_1(filled: Cluster) -> None:
    result = _check_in_a_process(filled, FIRING.at)
    assert result.returncode == 1, result.stderr
    head, row = result.stdout.splitlines()
    assert head.split() == ["rule", "severity", "about", "value", "threshold", "figures"]
    assert row.split()[:5] == ["p99_latency", "critical", "v1", "9", "5"]
    assert "p99_seconds 9, p50_seconds 0.1, requests 101" in row


def test_firing_rule_is_json_for_a_program(filled: Cluster) -> None:
    result = _check(filled, FIRING.at, "--json", "--quiet")
    assert result.exit_code == 1
    answer = orjson.loads(result.stdout)
    (alert,) = answer["firing"]
    assert (alert["rule"], alert["group"], alert["value"]) == ("p99_latency", {"model_version": "v1"}, 9.0)
    assert alert["figures"]["requests"] == 101
    assert answer["not_evaluated"] == []
    assert answer["rules"] == len(rules.load_all())


def test_no_alert_exits_with_0_and_prints_it_unless_quiet(filled: Cluster) -> None:
    result = _check_in_a_process(filled, BEFORE)
    assert (result.returncode, result.stdout) == (0, "")
    assert f"No alert fires ({len(rules.load_all())} rules, 2025-12-27 12:00:00 UTC)." in result.stderr
    quiet = _check(filled, BEFORE, "--quiet")
    assert (quiet.exit_code, quiet.stdout, quiet.stderr) == (0, "", "")


def test_events_later_than_now_are_counted_because_no_rule_evaluates_them(provisioned: Cluster) -> None:
    ahead = datetime.now(UTC) + timedelta(minutes=10)
    index(provisioned, "events", [{"@timestamp": ahead.isoformat(), "event": {"id": "e"}, "status": "error"}])
    arguments = ["check", "--url", provisioned.url, "--namespace", provisioned.namespace, "--rule", "error_rate"]
    result = CliRunner().invoke(alerts.app, arguments)
    assert (result.exit_code, result.stdout) == (0, "")
    assert "1 event is later than the end of the range" in result.stderr
    assert CliRunner().invoke(alerts.app, [*arguments, "--quiet"]).stderr == ""
    (note,) = orjson.loads(CliRunner().invoke(alerts.app, [*arguments, "--json"]).stdout)["notes"]
    assert (note["kind"], note["count"]) == ("future_events", 1)


def test_alerts_are_reported_if_later_events_cannot_be_counted(
    filled: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise OperatorError("the cluster is gone")

    monkeypatch.setattr(run, "find_future_events", fail)
    result = CliRunner().invoke(alerts.app, ["check", "--url", filled.url, "--namespace", filled.namespace])
    assert "inferlog: the cluster is gone" in result.stderr
    assert result.exit_code == 0


def test_check_evaluates_one_selected_rule(filled: Cluster) -> None:
    assert _check(filled, FIRING.at, "--rule", "error_rate", "--rule", "ingest_lag").exit_code == 0
    assert _check(filled, FIRING.at, "--rule", "p99_latency").exit_code == 1


def test_user_file_levels_are_used_as_thresholds(
    filled: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = tmp_path / "slo.json"
    own.write_text('{"model_versions": {"v1": {"p99_latency_seconds": 10}}}')
    monkeypatch.setenv("INFERLOG_SLO_FILE", str(own))
    assert _check(filled, FIRING.at, "--rule", "p99_latency").exit_code == 0


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["--rule", "p99_latncy"], "did you mean p99_latency"),
        (["--at", "soon"], "--at is 'soon'; expected ISO 8601"),
        (["--at", "0001-01-01"], "--at is '0001-01-01'; expected a time within 1970 and 2262"),
        (["--namespace", "A-B"], "the namespace is 'A-B'"),
        (["--notify", "ftp://hooks.example/s3cr3t"], "--notify is 'ftp://hooks.example'"),
    ],
)
def test_wrong_usage_is_reported_in_one_sentence(arguments: list[str], complaint: str) -> None:
    result = CliRunner().invoke(alerts.app, ["check", "--url", "http://127.0.0.1:1", *arguments])
    assert isinstance(result.exception, OperatorError)
    assert complaint in str(result.exception)
    assert result.exception.exit_code == 2
    assert "s3cr3t" not in str(result.exception)


def test_wrong_option_ends_with_2() -> None:
    result = commands.run("alerts", "check", "--url", "http://127.0.0.1:1", "--rule", "p99_latncy")
    assert (result.returncode, result.stdout) == (2, "")
    assert "did you mean p99_latency" in result.stderr


def test_broken_rule_file_ends_with_3_and_one_sentence(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "broken.json").write_text("{")
    monkeypatch.setattr(rules, "find_asset_dir", lambda _: tmp_path)
    result = CliRunner().invoke(alerts.app, ["check", "--url", "http://127.0.0.1:1"])
    assert isinstance(result.exception, OperatorError)
    assert "dashboards/rules/broken.json is not valid JSON" in str(result.exception)
    assert result.exception.exit_code == 3


def test_unreachable_cluster_exits_with_3_and_notifies_the_webhook(receiver: Webhook) -> None:
    result = commands.run("alerts", "check", "--url", "http://127.0.0.1:1", "--notify", receiver.url)
    assert (result.returncode, result.stdout) == (3, "")
    assert "not evaluated: canary_worse, " in result.stderr
    assert "no answer from http://127.0.0.1:1" in result.stderr
    (body,) = receiver.told
    assert body["firing"] == []
    assert body["not_evaluated"][0]["rules"] == list(rules.load_all())


def test_unprovisioned_stack_exits_with_3_and_names_the_command(cluster: Cluster) -> None:
    result = _check(cluster, FIRING.at, "--rule", "p99_latency")
    assert result.exit_code == 3
    assert f"inferlog provision --namespace {cluster.namespace}" in result.stderr


def test_webhook_is_notified_only_when_alerts_fire(filled: Cluster, receiver: Webhook) -> None:
    assert _check(filled, BEFORE, "--notify", receiver.url).exit_code == 0
    assert receiver.told == []
    assert _check(filled, FIRING.at, "--notify", receiver.url).exit_code == 1
    (body,) = receiver.told
    assert body["text"].startswith(f"inferlog ({filled.namespace}): 1 alert fires\n[critical] p99 latency")


def test_rejecting_webhook_is_reported_without_hiding_alerts(filled: Cluster, receiver: Webhook) -> None:
    receiver.statuses.extend([403])
    result = _check_in_a_process(filled, FIRING.at, "--notify", receiver.url)
    assert result.returncode == 1
    assert "p99_latency" in result.stdout
    assert "was not notified: it returned status 403" in result.stderr
    assert "s3cr3t" not in result.stderr


def test_alerts_are_recorded_once_per_interval(filled: Cluster) -> None:
    for seconds in (0, 20, 40):
        assert _check(filled, FIRING.at + timedelta(seconds=seconds), "--record").exit_code == 1
    assert _check(filled, FIRING.at + timedelta(seconds=60), "--record").exit_code == 1
    start, end = FIRING.at - timedelta(hours=1), FIRING.at + timedelta(minutes=2)
    queries = library.load_all()
    (shown,) = fetch_rows(filled, queries["alerts"], start, end)
    assert shown == {
        "state": "firing",
        "severity": "critical",
        "rule.name": "p99 latency is over its service level",
        "group": "v1",
        "model_version": "v1",
        "value": 9.0,
        "threshold": 5.0,
        "figures": "p99_seconds 9, p50_seconds 0.1, requests 101",
        "first_fired": "2026-01-05T12:00:00.000Z",
        "last_fired": "2026-01-05T12:01:00.000Z",
        "times": 2,
    }


def test_unrecorded_alerts_are_reported_without_hiding_alerts(filled: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        "inferlog_ops.query.rules.alerts.build_alerts_stream_name", lambda namespace: f"inferlog-alarms-{namespace}"
    )
    result = _check(filled, FIRING.at, "--record")
    assert result.exit_code == 1
    assert "p99_latency" in result.stdout
    assert f"lacks the stream inferlog-alarms-{filled.namespace}" in result.stderr
    assert f"inferlog provision --namespace {filled.namespace}" in result.stderr


def test_list_shows_the_condition_of_each_rule() -> None:
    result = CliRunner().invoke(alerts.app, ["list"])
    assert result.exit_code == 0
    for rule in rules.load_all().values():
        assert rule.name in result.stdout
    assert "requests > 100 AND p99_seconds > 5.0" in result.stdout


def test_list_is_json_for_a_program() -> None:
    listed = orjson.loads(CliRunner().invoke(alerts.app, ["list", "--json"]).stdout)
    assert [each["name"] for each in listed] == list(rules.load_all())
    assert listed[0].keys() == {
        "name", "title", "severity", "query", "fires_when", "window", "every", "description",
    }  # fmt: skip
