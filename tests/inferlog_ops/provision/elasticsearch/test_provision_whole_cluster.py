"""Provisioning of a full Elasticsearch and the wait for it, against a stand-in, because none can run here."""

import socket
from collections.abc import Iterator

import pytest

from inferlog_ops.core.cluster import Cluster
from inferlog_ops.core.errors import OperatorError
from inferlog_ops.provision.elasticsearch import ProvisionOutcome, provision_cluster
from tests.support.whole_cluster import ElasticsearchStandIn, stand_in


@pytest.fixture
def whole_cluster() -> Iterator[ElasticsearchStandIn]:
    with stand_in() as cluster:
        yield cluster


def test_whole_cluster_gets_pipeline_then_components_then_templates_then_streams(
    whole_cluster: ElasticsearchStandIn,
) -> None:
    provisioned = provision_cluster(Cluster(url=whole_cluster.url))
    kinds = list(dict.fromkeys(each.kind for each in provisioned))
    assert kinds == ["pipeline", "component template", "index template", "data stream"]
    assert whole_cluster.puts[0] == "/_ingest/pipeline/inferlog-ingested-cluster"
    assert whole_cluster.puts[-1] == "/_data_stream/inferlog-summaries-default"
    assert "/_component_template/inferlog-cluster" in whole_cluster.puts
    assert "/_component_template/inferlog-embedded" not in whole_cluster.puts


def test_whole_cluster_is_unchanged_by_the_second_run(whole_cluster: ElasticsearchStandIn) -> None:
    provision_cluster(Cluster(url=whole_cluster.url))
    whole_cluster.puts.clear()
    again = provision_cluster(Cluster(url=whole_cluster.url))
    assert {each.outcome for each in again} == {ProvisionOutcome.UNCHANGED}
    assert whole_cluster.puts == []


def test_starting_cluster_is_waited_for(whole_cluster: ElasticsearchStandIn) -> None:
    whole_cluster.starting = 3
    provision_cluster(Cluster(url=whole_cluster.url), wait_seconds=30)
    assert whole_cluster.starting == 0
    assert whole_cluster.puts


def test_unready_cluster_is_reported_with_its_state_after_the_timeout(
    whole_cluster: ElasticsearchStandIn,
) -> None:
    whole_cluster.starting = 1_000_000
    said: list[str] = []
    with pytest.raises(OperatorError, match=r"was not ready after 3 s: it answers 503"):
        provision_cluster(Cluster(url=whole_cluster.url), wait_seconds=3, on_progress=said.append)
    assert said == [f"waiting for {whole_cluster.url}: it answers 503"]


def test_unreachable_cluster_is_one_sentence_after_the_timeout() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{taken.getsockname()[1]}"
        with pytest.raises(OperatorError, match=r"was not ready after 1 s: no connection .*refused"):
            provision_cluster(Cluster(url=url), wait_seconds=1)


def test_rejected_credentials_fail_at_once(whole_cluster: ElasticsearchStandIn) -> None:
    whole_cluster.status = 401
    with pytest.raises(OperatorError, match=r"answered 401: security_exception: missing credentials"):
        provision_cluster(Cluster(url=whole_cluster.url), wait_seconds=3_600)


def test_foreign_template_stops_provisioning(whole_cluster: ElasticsearchStandIn) -> None:
    whole_cluster.objects["/_index_template/inferlog-app"] = {"index_patterns": ["logs-inference.app-*"]}
    with pytest.raises(OperatorError, match="index template inferlog-app that inferlog did not create"):
        provision_cluster(Cluster(url=whole_cluster.url))
    assert not [path for path in whole_cluster.puts if path.startswith("/_data_stream")]
