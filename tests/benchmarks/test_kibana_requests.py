"""Requests as Kibana makes them return the figures of the panels' queries."""

from datetime import timedelta
from typing import Any

import pytest

from benchmarks.kibana_requests import (
    Answer,
    KibanaRequest,
    build_other_request,
    build_requests,
    has_own_requests,
    run_requests,
)
from benchmarks.panel_questions import Question, select_panels
from inferlog_ops.core.cluster import Cluster
from inferlog_ops.core.errors import OperatorError
from inferlog_ops.query.dashboards.panels import Panel
from tests.golden import END, START, build_golden, compute_expected_rows
from tests.support.indexing import create_fresh_cluster, index_golden

OF_KIBANA = [question for question in select_panels() if has_own_requests(question.panel)]
LAST = END - timedelta(milliseconds=1)
"""End of a range for Kibana, which includes it and knows milliseconds; no document has this time."""
DOCUMENTS = build_golden().select_between(START, LAST)


@pytest.fixture(scope="module")
def filled(engine_url: str) -> Cluster:
    cluster = create_fresh_cluster(engine_url)
    index_golden(cluster)
    return cluster


def find_panel(place: str) -> Panel:
    return next(question.panel for question in OF_KIBANA if place in question.places)


def build_request(place: str) -> KibanaRequest:
    (request,) = build_requests(find_panel(place), START, END)
    return request


def ask(cluster: Cluster, panel: Panel) -> list[Any]:
    with cluster.build_client() as client:
        return [answer for _, answer in run_requests(client, cluster.namespace, panel, START, LAST)]


@pytest.mark.parametrize("question", OF_KIBANA, ids=lambda each: each.place)
def test_elasticsearch_answers_the_requests_of_every_panel(question: Question, filled: Cluster) -> None:
    assert all(answer["hits"]["hits"] or answer["aggregations"] for answer in ask(filled, question.panel))


def test_percentiles_of_a_field_are_one_aggregation() -> None:
    (groups,) = build_request("inferlog-overview/versions").body["aggs"].values()
    percents = [each["percentiles"]["percents"] for each in groups["aggs"].values() if "percentiles" in each]
    assert sorted(percents) == [[50], [50, 95, 99]]


def test_figure_of_several_columns_is_asked_once() -> None:
    (groups,) = build_request("inferlog-overview/versions").body["aggs"].values()
    bodies = list(groups["aggs"].values())
    assert len(bodies) == 5  # errors, two sums of tokens, the percentiles of two fields
    assert not [body for body in bodies if bodies.count(body) > 1]


def test_figures_are_those_of_the_query(filled: Cluster) -> None:
    (found,) = ask(filled, find_panel("inferlog-overview/successes"))
    buckets = {bucket["key"]: bucket for bucket in found["aggregations"]["model_version"]["buckets"]}
    for row in compute_expected_rows("p99_latency_of_successes", DOCUMENTS, START, END):
        bucket = buckets[row["model_version"].replace("(none)", "__missing__")]
        assert bucket["doc_count"] == row["requests"]
        figures = {each["key"]: each["value"] for each in bucket["percentiles of latency_seconds"]["values"]}
        assert figures[99] == pytest.approx(row["p99_seconds"], rel=1e-6)


def test_list_has_the_documents_of_the_query(filled: Cluster) -> None:
    (found,) = ask(filled, find_panel("inferlog-overview/slowest"))
    shown = [hit["fields"]["request_id"][0] for hit in found["hits"]["hits"]]
    assert shown == [row["request_id"] for row in compute_expected_rows("slowest_requests", DOCUMENTS, START, END)]


@pytest.mark.parametrize(
    ("span", "wanted"),
    [
        (timedelta(minutes=2), {"fixed_interval": "1s"}),
        (timedelta(minutes=15), {"fixed_interval": "30s"}),
        (timedelta(hours=1), {"calendar_interval": "1m"}),
        (timedelta(days=1), {"fixed_interval": "30m"}),
        (timedelta(days=7), {"fixed_interval": "3h"}),
    ],
    ids=str,
)
def test_slices_have_the_width_that_kibana_chooses(span: timedelta, wanted: dict[str, str]) -> None:
    (request,) = build_requests(find_panel("inferlog-overview/requests-over-time"), END - span, END)
    slices = request.body["aggs"]["bucket"]["date_histogram"]
    assert wanted.items() <= slices.items()


def test_slices_of_a_range_that_is_too_long_are_rejected() -> None:
    with pytest.raises(OperatorError, match="no request for slices of 350 days"):
        build_requests(find_panel("inferlog-overview/requests-over-time"), END - timedelta(days=350), END)


def test_few_groups_are_chosen_from_25_of_each_shard() -> None:
    tile, table = (build_request(f"inferlog-overview/{name}").body for name in ("error-rate", "versions"))
    assert tile["aggs"]["model_version"]["terms"]["shard_size"] == 25
    assert "shard_size" not in table["aggs"]["model_version"]["terms"]


@pytest.mark.parametrize("place", ["inferlog-overview/versions", "inferlog-overview/slowest"])
def test_every_document_is_counted(place: str, filled: Cluster) -> None:
    (found,) = ask(filled, find_panel(place))
    assert found["hits"]["total"]["relation"] == "eq"


def test_list_is_sorted_by_one_field() -> None:
    sort = build_request("inferlog-overview/slowest").body["sort"]
    assert [list(each) for each in sort] == [["latency_seconds"], ["_doc"]]


def build_answer(keys: list[str], left_out: int, left_out_inside: int = 0) -> Answer:
    """Return an answer for callers and the model versions of each."""
    versions = {"sum_other_doc_count": left_out_inside, "buckets": []}
    buckets = [{"key": key, "model_version": versions} for key in keys]
    return {"aggregations": {"client_id": {"sum_other_doc_count": left_out, "buckets": buckets}}}


def test_documents_outside_the_found_groups_are_a_request_of_their_own() -> None:
    request = build_request("inferlog-overview/callers")
    other = build_other_request(request, build_answer(["a", "__missing__"], left_out=1))
    assert other is not None
    assert other.body | {"aggs": {}} == request.body | {"aggs": {}}
    assert other.body["aggs"]["other-filter"] == {
        "filters": {
            "filters": {
                "": {
                    "bool": {
                        "must": [],
                        "filter": [{"exists": {"field": "client.id"}}],
                        "should": [],
                        "must_not": [{"match_phrase": {"client.id": "a"}}],
                    }
                }
            }
        },
        "aggs": request.body["aggs"]["client_id"]["aggs"],
    }


def test_found_groups_with_every_document_need_no_other_request() -> None:
    request = build_request("inferlog-overview/callers")
    assert build_other_request(request, build_answer(["a", "b"], left_out=0)) is None


def test_documents_outside_the_found_groups_within_a_group_are_rejected() -> None:
    request = build_request("inferlog-overview/callers")
    with pytest.raises(OperatorError, match="no request for the group Other of model_version within another group"):
        build_other_request(request, build_answer(["a", "b"], left_out=0, left_out_inside=1))
