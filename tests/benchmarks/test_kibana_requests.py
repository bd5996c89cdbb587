"""Requests as Kibana makes them return the figures of the panels' queries."""

from datetime import timedelta
from typing import Any

import pytest

from benchmarks.kibana_requests import build_filter, build_requests, has_own_requests
from benchmarks.panel_questions import Question, select_panels
from inferlog_ops.core.cluster import Cluster
from inferlog_ops.core.errors import OperatorError
from inferlog_ops.query.dashboards.panels import Panel
from tests.golden import END, START, build_golden, compute_expected_rows
from tests.support.indexing import create_fresh_cluster, index_golden

OF_KIBANA = [question for question in select_panels() if has_own_requests(question.panel)]
LAST = END - timedelta(microseconds=1)
"""Kibana includes the end of a range, the queries do not."""
DOCUMENTS = build_golden().select_between(START, END)


@pytest.fixture(scope="module")
def filled(engine_url: str) -> Cluster:
    cluster = create_fresh_cluster(engine_url)
    index_golden(cluster)
    return cluster


def find_panel(place: str) -> Panel:
    return next(question.panel for question in OF_KIBANA if place in question.places)


def ask(cluster: Cluster, panel: Panel) -> list[Any]:
    with cluster.build_client() as client:
        return [
            client.search(index=request.list_streams(cluster.namespace), **request.body)
            for request in build_requests(panel, START, LAST)
        ]


@pytest.mark.parametrize("question", OF_KIBANA, ids=lambda each: each.place)
def test_elasticsearch_answers_the_requests_of_every_panel(question: Question, filled: Cluster) -> None:
    assert all(answer["hits"]["hits"] or answer["aggregations"] for answer in ask(filled, question.panel))


def test_percentiles_of_a_field_are_one_aggregation() -> None:
    (request,) = build_requests(find_panel("inferlog-overview/versions"), START, END)
    (groups,) = request.body["aggs"].values()
    percents = [each["percentiles"]["percents"] for each in groups["aggs"].values() if "percentiles" in each]
    assert sorted(percents) == [[50], [50, 95, 99]]


def test_figure_of_several_columns_is_asked_once() -> None:
    (request,) = build_requests(find_panel("inferlog-overview/versions"), START, END)
    (groups,) = request.body["aggs"].values()
    bodies = list(groups["aggs"].values())
    assert len(bodies) == 5  # errors, two sums of tokens, the percentiles of two fields
    assert not [body for body in bodies if bodies.count(body) > 1]


def test_figures_are_those_of_the_query(filled: Cluster) -> None:
    (found,) = ask(filled, find_panel("inferlog-overview/successes"))
    buckets = {bucket["key"]: bucket for bucket in found["aggregations"]["model_version"]["buckets"]}
    for row in compute_expected_rows("p99_latency_of_successes", DOCUMENTS, START, END):
        bucket = buckets[row["model_version"].replace("(none)", "__missing__")]
        assert bucket["doc_count"] == row["requests"]
        figures = bucket["percentiles of latency_seconds"]["values"]
        assert figures["99.0"] == pytest.approx(row["p99_seconds"], rel=1e-6)


def test_list_has_the_documents_of_the_query(filled: Cluster) -> None:
    (found,) = ask(filled, find_panel("inferlog-overview/slowest"))
    shown = [hit["fields"]["request_id"][0] for hit in found["hits"]["hits"]]
    assert shown == [row["request_id"] for row in compute_expected_rows("slowest_requests", DOCUMENTS, START, END)]


@pytest.mark.parametrize(
    ("kql", "wanted"),
    [
        ("cost_usd: *", {"exists": {"field": "cost_usd"}}),
        ('status: "error"', {"terms": {"status": ["error"]}}),
        ('message: ("a" or "b")', {"terms": {"message": ["a", "b"]}}),
        ("a: * or b: *", {"bool": {"should": [{"exists": {"field": "a"}}, {"exists": {"field": "b"}}]}}),
    ],
)
def test_filter_becomes_query_dsl(kql: str, wanted: dict[str, Any]) -> None:
    assert build_filter(kql) == wanted


def test_unknown_filter_is_rejected() -> None:
    with pytest.raises(OperatorError, match="no request for the filter"):
        build_filter("latency_seconds > 3")
