"""
The main queries also exist in query DSL, for users of ``_search``; answers equal those of the ES|QL files.

Counts and sums are equal. Percentiles are equal up to some thousand events; beyond, both are estimates from a digest,
and differ by less than `TOLERANCE`.
"""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

import orjson
import pytest

from inferlog_ops.core.assets import find_asset_dir
from inferlog_ops.core.cluster import Cluster
from inferlog_ops.query import library
from inferlog_ops.query.run import fetch_rows
from tests.golden import END, START, Document, build_golden
from tests.support.indexing import create_fresh_cluster, index, index_many, index_parts

ENDING = ".dsl.json"
TWINS = {path.name.removesuffix(ENDING): path for path in find_asset_dir(library.FOLDER).glob(f"*{ENDING}")}
MANY = 50_000
TOLERANCE = 0.002
"""Relative, of a percentile over many events."""
SECONDS_OF_THE_RANGE = "seconds of the range"

Row = dict[str, Any]


@pytest.fixture(scope="module")
def of_golden(engine_url: str) -> Cluster:
    """The golden events, some of them twice."""
    cluster = create_fresh_cluster(engine_url)
    documents = build_golden()
    index_parts(cluster, "events", documents.first, documents.again, documents.again_later)
    return cluster


@pytest.fixture(scope="module")
def of_many(engine_url: str) -> Cluster:
    """So many events that percentiles are estimates."""
    cluster = create_fresh_cluster(engine_url)
    index_many(cluster, "events", _make_many())
    with cluster.build_client(request_timeout_seconds=120) as client:
        # A digest is put together from those of the segments, of which there are others in each run.
        client.indices.forcemerge(index=_name_stream(cluster), max_num_segments=1)
        client.indices.refresh(index=_name_stream(cluster))
    return cluster


def _name_stream(cluster: Cluster) -> str:
    return f"logs-inference.events-{cluster.namespace}"


def _make_many() -> Iterator[Document]:
    random = Random(20261124)
    step = (END - START) / MANY
    for number in range(MANY):
        tokens = {"input_tokens": random.randrange(900), "output_tokens": random.randrange(400)}
        document: Document = {
            "@timestamp": (START + step * number).isoformat(),
            "event": {"id": f"{number:032x}"},
            "status": "error" if random.random() < 0.02 else "success",
            "latency_seconds": round(random.lognormvariate(-1, 1), 6),
            "gen_ai": {"usage": tokens},
        }
        if random.random() < 0.9:
            document["model_version"] = random.choice(["v1", "v2", "v2"])
        yield document


def _run_twin(cluster: Cluster, name: str, start: datetime, end: datetime) -> list[Row]:
    """Run the twin for a range; convert its buckets to rows by the twin's description of columns."""
    body = orjson.loads(TWINS[name].read_bytes())
    body["query"]["range"]["@timestamp"] = {"gte": start.isoformat(), "lt": end.isoformat()}
    with cluster.build_client() as client:
        answer = client.search(index=_name_stream(cluster), **body)["aggregations"]["model_version"]
    seconds = (end - start).total_seconds()
    return [
        {column: _compute_formula(bucket, formula, seconds) for column, formula in answer["meta"]["columns"].items()}
        for bucket in answer["buckets"]
    ]


def _compute_formula(bucket: Row, formula: str, seconds: float) -> Any:
    dividend, _, divisor = formula.partition(" / ")
    if not divisor:
        return _follow_path(bucket, dividend)
    return _follow_path(bucket, dividend) / (
        seconds if divisor == SECONDS_OF_THE_RANGE else _follow_path(bucket, divisor)
    )


def _follow_path(value: Any, path: str) -> Any:
    """Follow a dotted path in which a key, such as 99.0, may hold a dot itself."""
    while path not in value:
        head, _, path = path.partition(".")
        value = value[head]
    return value[path]


def _allow_for_estimate(rows: list[Row], tolerance: float) -> list[Row]:
    """Allow for the estimate of a percentile, and the last digits of a quotient; everything else must be equal."""
    return [
        {
            name: pytest.approx(value, rel=tolerance if name[0] == "p" else 1e-9) if isinstance(value, float) else value
            for name, value in row.items()
        }
        for row in rows
    ]


def test_four_main_queries_have_a_twin() -> None:
    assert set(TWINS) == {"p99_latency", "error_rate", "requests_per_second", "token_counts"}


@pytest.mark.parametrize("name", TWINS)
def test_twin_has_the_question_of_its_esql_file(name: str) -> None:
    assert (
        orjson.loads(TWINS[name].read_bytes())["aggs"]["model_version"]["meta"]["question"]
        == library.find(name).question
    )


@pytest.mark.parametrize("name", TWINS)
def test_twin_equals_its_esql_file_on_known_events(name: str, of_golden: Cluster) -> None:
    wanted = fetch_rows(of_golden, library.find(name), START, END)
    assert {row["model_version"] for row in wanted} >= {"(none)", "v1", "v2"}
    assert _run_twin(of_golden, name, START, END) == _allow_for_estimate(wanted, 1e-9)


@pytest.mark.parametrize("name", TWINS)
def test_twin_equals_its_esql_file_on_many_events(name: str, of_many: Cluster) -> None:
    wanted = fetch_rows(of_many, library.find(name), START, END)
    assert len(wanted) == 3
    assert _run_twin(of_many, name, START, END) == _allow_for_estimate(wanted, TOLERANCE)


@pytest.mark.parametrize("name", TWINS)
def test_twin_has_no_rows_without_events(name: str, of_golden: Cluster) -> None:
    assert _run_twin(of_golden, name, END + timedelta(days=1), END + timedelta(days=2)) == []


@pytest.mark.parametrize("name", TWINS)
def test_unedited_twin_covers_the_last_15_minutes(name: str, provisioned: Cluster) -> None:
    now = datetime.now(UTC)
    ages = {"v1": timedelta(minutes=14), "v2": timedelta(minutes=16), "v3": -timedelta(hours=1)}
    documents: list[Document] = [
        {"@timestamp": (now - age).isoformat(), "event": {"id": version}, "model_version": version, "status": "success"}
        for version, age in ages.items()
    ]
    index(provisioned, "events", documents)
    with provisioned.build_client() as client:
        # Byte for byte, as curl sends it.
        answer = client.perform_request(
            "POST",
            f"/{_name_stream(provisioned)}/_search",
            headers={"content-type": "application/json", "accept": "application/json"},
            body=TWINS[name].read_bytes(),
        ).body
    assert [bucket["key"] for bucket in answer["aggregations"]["model_version"]["buckets"]] == ["v1"]
