"""Queries of the benchmark of long ranges, and the summaries that it writes."""

from inferlog_ops.core.cluster import Cluster
from inferlog_ops.summarize.buckets import decode_counts
from tests.benchmarks.benchmark_runs import run_benchmark
from tests.support.summarizing import list_documents

DOCUMENTS = 24 * 61 * 6


def test_every_query_is_timed_on_the_documents_of_the_job(engine_url: str) -> None:
    options = ("--url", engine_url, "--days", 1, "--events", 20, "--calls", 1, "--calls-before", 0)
    report = run_benchmark("long_range", *options)
    assert report["figures"]["documents"] == DOCUMENTS
    assert report["goals"] == [], "a day is too short to judge"
    assert [each["query"] for each in report["figures"]["ranges"]] == [
        "long_range_latency",
        "long_range_latency_over_time",
        "long_range_traffic",
        "long_range_traffic_over_time",
        "long_range_latency from minutes alone",
        "p99_latency from 20 events",
    ]
    assert all(each["seconds"] > 0 for each in report["figures"]["ranges"])
    found = list_documents(Cluster(url=engine_url, namespace="benchmark.range1"))
    assert len(found) == DOCUMENTS
    for hit in found:
        assert sum(decode_counts(hit["_source"]["latency_buckets"]).values()) == hit["_source"]["requests"]
