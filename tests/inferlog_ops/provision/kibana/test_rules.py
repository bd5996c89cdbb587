"""The rules as Kibana runs them: their text on the real engine, and the document that an alert becomes."""

import re
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest
from elasticsearch import Elasticsearch

from inferlog_ops.core.cluster import Cluster
from inferlog_ops.provision.elasticsearch import provision_cluster
from inferlog_ops.provision.kibana.capabilities import Capabilities
from inferlog_ops.provision.kibana.rules import build_connector, build_rule_body, build_rule_name, update_of
from inferlog_ops.query import library
from inferlog_ops.query.rules import rules
from inferlog_ops.query.rules.condition import build_rule_query
from inferlog_ops.query.rules.evaluate import evaluate_rule
from inferlog_ops.query.run import fetch_rows
from tests.support.alert_cases import LEVELS, build_cases
from tests.support.indexing import create_fresh_cluster, index

RULES = rules.load_all()
QUERIES = library.load_all()
OLD, NEW = Capabilities(), Capabilities(alerts_by_row=True, takes_artifacts=True)
NOW_FIRING = {  # rules whose documents do not get into one another's way
    "p99_latency": "its own level is exceeded",
    "lost_events": "a hole in the numbers",
    "refused_documents": "of late",
    "ingest_lag": "all arrive late",
}


@pytest.fixture(scope="module")
def filled(engine_url: str) -> Cluster:
    """An engine in which some rules fire now."""
    cluster = Cluster(url=engine_url, namespace=f"t{uuid4().hex[:15]}")
    provision_cluster(cluster)
    now = datetime.now(UTC)
    operations: list[dict[str, Any]] = []
    for case in build_cases():
        if NOW_FIRING.get(case.rule) == case.what:
            for stream, document in case.build_lines(now):
                name = f"logs-inference.{stream}-{cluster.namespace}"
                operations += [{"create": {"_index": name, "_id": document["event"]["id"]}}, document]
    with cluster.build_client() as client:
        answer = client.bulk(operations=operations, refresh=True, require_data_stream=True)
    assert not answer["errors"]
    return cluster


def _run_as_kibana(client: Elasticsearch, body: dict[str, Any]) -> list[dict[str, Any]]:
    """Ask as Kibana's rule does: the text with a limit behind it, beside a filter on the window, without parameters."""
    params = body["params"]
    unit = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}[params["timeWindowUnit"]]
    now = datetime.now(UTC)
    since = now - timedelta(**{unit: params["timeWindowSize"]})
    window = {"gt": _format_iso(since), "lte": _format_iso(now), "format": "strict_date_optional_time"}
    answer = client.esql.query(
        query=f"{params['esqlQuery']['esql']} | limit 1000",
        filter={"bool": {"filter": [{"range": {params["timeField"]: window}}]}},
    )
    names = [column["name"] for column in answer["columns"]]
    return [dict(zip(names, values, strict=True)) for values in answer["values"]]


def _format_iso(moment: datetime) -> str:
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _render_alert_id(rule: rules.Rule, body: dict[str, Any], row: dict[str, Any]) -> str:
    is_by_row = body["params"]["groupBy"] == "row"
    return ",".join(str(row[column]) for column in rule.group) if is_by_row else "query matched"


def _render(template: Any, row: dict[str, Any], alert_id: str) -> Any:
    """Fill in the templates that our documents use, as Mustache does: all values as text."""
    if isinstance(template, dict):
        return {key: _render(value, row, alert_id) for key, value in template.items()}
    if not isinstance(template, str):
        return template
    text = re.sub(
        r"\{\{#context\.hits\}\}\{\{_source\.([a-z0-9_.]+)\}\}\{\{/context\.hits\}\}",
        lambda match: "" if row[match[1]] is None else str(row[match[1]]),
        template.replace("{{alert.id}}", alert_id),
    )
    assert "{{" not in text, text
    return text


def _build_body(rule: rules.Rule, namespace: str, *, capabilities: Capabilities = NEW) -> dict[str, Any]:
    return build_rule_body(rule, LEVELS, QUERIES, namespace, connector="c1", capabilities=capabilities)


@pytest.mark.parametrize("capabilities", [OLD, NEW], ids=["old", "new"])
@pytest.mark.parametrize("name", RULES)
def test_text_is_taken_by_the_engine_without_parameters(name: str, capabilities: Capabilities, filled: Cluster) -> None:
    with filled.build_client() as client:
        rows = _run_as_kibana(client, _build_body(RULES[name], filled.namespace, capabilities=capabilities))
    assert bool(rows) == (name in NOW_FIRING)


@pytest.mark.parametrize("name", NOW_FIRING)
def test_kibana_finds_what_check_finds(name: str, filled: Cluster) -> None:
    rule = RULES[name]
    with filled.build_client() as client:
        rows = _run_as_kibana(client, _build_body(rule, filled.namespace))
    alerts = evaluate_rule(filled, rule, LEVELS, QUERIES, datetime.now(UTC)).alerts
    assert [{column: row[column] for column in rule.figures} for row in rows] == [alert.figures for alert in alerts]
    assert [row["alert_threshold"] for row in rows] == [alert.threshold for alert in alerts]


@pytest.mark.parametrize("capabilities", [OLD, NEW], ids=["old", "new"])
@pytest.mark.parametrize("name", NOW_FIRING)
def test_the_document_of_an_alert_is_taken_and_is_that_of_check(
    name: str, capabilities: Capabilities, filled: Cluster
) -> None:
    rule = RULES[name]
    body = _build_body(rule, filled.namespace, capabilities=capabilities)
    (template,) = body["actions"][0]["params"]["documents"]
    stream = build_connector(filled.namespace).create.body["config"]["index"]
    with filled.build_client() as client:
        (row,) = _run_as_kibana(client, body)
        document = _render(template, row, _render_alert_id(rule, body, row))
        # What the connector adds, and how it writes: Kibana's executionTimeField, op_type create.
        document["@timestamp"] = _format_iso(datetime.now(UTC))
        client.index(index=stream, document=document, op_type="create", refresh=True)
    (alert,) = evaluate_rule(filled, rule, LEVELS, QUERIES, datetime.now(UTC)).alerts
    assert {**document, "value": float(document["value"]), "threshold": float(document["threshold"])} == {
        **alert.to_document(),
        "@timestamp": document["@timestamp"],
        "figures": document["figures"],
        "written_by": "kibana",
    }
    end = datetime.now(UTC) + timedelta(seconds=1)
    shown = fetch_rows(filled, QUERIES["alerts"], end - timedelta(hours=1), end)
    (found,) = [each for each in shown if each["rule.name"] == rule.title]  # old and new write to the same alert
    assert (found["state"], found["group"]) == ("firing", alert.group_text)
    assert (found["value"], found["threshold"]) == (alert.value, alert.threshold)


@pytest.mark.parametrize("name", RULES)
def test_an_alert_is_named_by_its_group_and_not_by_its_figures(name: str) -> None:
    rule = RULES[name]
    text = build_rule_query(rule, LEVELS, QUERIES, "default")
    last_stats = text.rpartition("| STATS ")[2].partition("\n|")[0]
    by = last_stats.partition(" BY ")[2]
    assert tuple(column.strip() for column in by.split(",") if column) == rule.group
    assert _build_body(rule, "default")["params"]["groupBy"] == ("row" if rule.group else "all")


@pytest.mark.parametrize("name", RULES)
def test_body_holds_what_the_documented_form_demands(name: str) -> None:
    body = _build_body(RULES[name], "default")
    params = body["params"]
    assert (body["rule_type_id"], body["consumer"]) == (".es-query", "stackAlerts")
    assert (params["searchType"], params["thresholdComparator"], params["threshold"]) == ("esqlQuery", ">", [0])
    assert params["timeField"] == "@timestamp"
    assert "?_t" not in params["esqlQuery"]["esql"]
    assert params["esqlQuery"]["esql"].splitlines()[-1].startswith("| ")  # Kibana puts a limit behind it
    assert re.fullmatch(r"[1-9][0-9]*[smhd]", body["schedule"]["interval"])
    assert re.fullmatch(r"[a-z0-9-]{1,250}", build_rule_name(RULES[name]))
    assert body["artifacts"]["dashboards"] == [{"id": RULES[name].dashboard}]
    assert body["actions"][0]["id"] == "c1"
    assert body.keys() - update_of(body).keys() == {"consumer", "rule_type_id", "enabled"}


def test_the_window_reaches_over_what_has_not_settled() -> None:
    params = _build_body(RULES["lost_events"], "default")["params"]
    assert (params["timeWindowSize"], params["timeWindowUnit"]) == (62, "m")
    assert "NOW() - 3720 seconds" in params["esqlQuery"]["esql"]
    assert "NOW() - 120 seconds" in params["esqlQuery"]["esql"]


@pytest.mark.parametrize("name", RULES)
def test_older_kibana_gets_one_alert_of_all_rows_and_no_field_that_it_does_not_know(name: str) -> None:
    body = _build_body(RULES[name], "default", capabilities=OLD)
    assert body["params"]["groupBy"] == "all"
    assert "artifacts" not in body
    (document,) = body["actions"][0]["params"]["documents"]
    assert "alert.id" not in document["group"]


def test_older_kibana_gets_the_figures_of_each_group_in_one_row(engine_url: str) -> None:
    rule = RULES["p99_latency"]
    cluster = create_fresh_cluster(engine_url)
    now = datetime.now(UTC)
    (slow,) = [each for each in build_cases() if (each.rule, each.what) == ("p99_latency", "two of 101 are slow")]
    for version in ("v1", "v2"):
        documents = [{**document, "model_version": version} for _stream, document in slow.build_lines(now)]
        index(cluster, "events", documents)
    body = _build_body(rule, cluster.namespace, capabilities=OLD)
    with cluster.build_client() as client:
        (row,) = _run_as_kibana(client, body)
    document = _render(body["actions"][0]["params"]["documents"][0], row, "query matched")
    assert (document["group"], document["model_version"]) == ("v1; v2", "v1; v2")
    assert (document["value"], document["threshold"]) == ("", "5.0")
    first, second = document["figures"].split("; ")
    assert first.startswith("v1: p99_seconds 9.0, p50_seconds 0.1, requests 101")
    assert second.startswith("v2: p99_seconds 9.0, ")


def test_connector_writes_to_the_stream_of_the_namespace() -> None:
    connector = build_connector("team_a")
    assert connector.create.body["connector_type_id"] == ".index"
    assert connector.create.body["config"]["index"] == "inferlog-alerts-team_a"
    assert connector.update()[0].body.keys() == {"name", "config", "secrets"}
