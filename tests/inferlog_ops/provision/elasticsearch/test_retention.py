"""Retention: one setting for new streams, existing streams and failure stores."""

from collections.abc import Iterator

import pytest

from inferlog_ops.core.cluster import Cluster
from inferlog_ops.core.errors import OperatorError
from inferlog_ops.provision.elasticsearch import ProvisionOutcome, provision_cluster
from inferlog_ops.provision.elasticsearch.definitions import COMPONENT_TEMPLATE, load_definitions
from inferlog_ops.provision.elasticsearch.retention import (
    DEFAULT_RETENTION,
    DEFAULT_SUMMARIES_RETENTION,
    check_retention,
)
from inferlog_ops.provision.elasticsearch.server import Deployment
from tests.support.commands import run
from tests.support.whole_cluster import ElasticsearchStandIn, stand_in

TEMPLATE = "/_component_template/inferlog-cluster"
STREAM = "/_data_stream/logs-inference.events-default"


@pytest.fixture
def whole_cluster() -> Iterator[ElasticsearchStandIn]:
    with stand_in() as cluster:
        yield cluster


def read_retention(cluster: ElasticsearchStandIn) -> tuple[str, str]:
    template = cluster.objects[TEMPLATE]["template"]
    failures = template["data_stream_options"]["failure_store"]
    assert failures["enabled"]
    return template["lifecycle"]["data_retention"], failures["lifecycle"]["data_retention"]


def test_default_retention_is_in_the_template_file(whole_cluster: ElasticsearchStandIn) -> None:
    provision_cluster(Cluster(url=whole_cluster.url))
    assert read_retention(whole_cluster) == (DEFAULT_RETENTION, DEFAULT_RETENTION)


def test_retention_setting_overrides_the_file(whole_cluster: ElasticsearchStandIn) -> None:
    provision_cluster(Cluster(url=whole_cluster.url), retention="7d")
    assert read_retention(whole_cluster) == ("7d", "7d")


def test_existing_streams_get_a_new_retention_once(whole_cluster: ElasticsearchStandIn) -> None:
    provision_cluster(Cluster(url=whole_cluster.url))
    assert f"{STREAM}/_lifecycle" not in whole_cluster.puts  # a new one has it from its template
    changed = {each.name: each.outcome for each in provision_cluster(Cluster(url=whole_cluster.url), retention="90d")}
    assert changed["inferlog-cluster"] is changed["logs-inference.events-default"] is ProvisionOutcome.UPDATED
    assert whole_cluster.objects[f"{STREAM}/_lifecycle"] == {"data_retention": "90d"}
    failures = {"enabled": True, "lifecycle": {"data_retention": "90d"}}
    assert whole_cluster.objects[f"{STREAM}/_options"] == {"failure_store": failures}
    again = provision_cluster(Cluster(url=whole_cluster.url), retention="90d")
    assert {each.outcome for each in again} == {ProvisionOutcome.UNCHANGED}


def test_retention_is_kept_unless_it_is_given(whole_cluster: ElasticsearchStandIn) -> None:
    """Without this the command of somebody who knows of no setting would have a cluster delete data."""
    provision_cluster(Cluster(url=whole_cluster.url), retention="90d")
    again = provision_cluster(Cluster(url=whole_cluster.url))
    assert {each.outcome for each in again} == {ProvisionOutcome.UNCHANGED}
    assert read_retention(whole_cluster) == ("90d", "90d")


def test_command_accepts_a_retention(whole_cluster: ElasticsearchStandIn) -> None:
    assert run("provision", "--url", whole_cluster.url, "--retention", "7d").returncode == 0
    assert read_retention(whole_cluster) == ("7d", "7d")
    refused = run("provision", "--url", whole_cluster.url, "--retention", "a week")
    assert refused.returncode == 2
    assert "--retention is 'a week'; expected a whole number" in refused.stderr


def test_summaries_have_a_retention_of_their_own(whole_cluster: ElasticsearchStandIn) -> None:
    template, stream = "/_component_template/inferlog-summaries-cluster", "/_data_stream/inferlog-summaries-default"
    provision_cluster(Cluster(url=whole_cluster.url), retention="7d")
    assert whole_cluster.objects[template]["template"] == {"lifecycle": {"data_retention": DEFAULT_SUMMARIES_RETENTION}}
    assert run("provision", "--url", whole_cluster.url, "--summaries-retention", "800d").returncode == 0
    assert whole_cluster.objects[f"{stream}/_lifecycle"] == {"data_retention": "800d"}
    assert f"{stream}/_options" not in whole_cluster.puts
    assert read_retention(whole_cluster) == ("7d", "7d")
    again = provision_cluster(Cluster(url=whole_cluster.url))
    assert {each.outcome for each in again} == {ProvisionOutcome.UNCHANGED}
    assert whole_cluster.objects[template]["template"]["lifecycle"]["data_retention"] == "800d"
    refused = run("provision", "--url", whole_cluster.url, "--summaries-retention", "a year")
    assert "--summaries-retention is 'a year'; expected a whole number" in refused.stderr


def test_embedded_engine_keeps_everything() -> None:
    assert load_definitions(Deployment.EMBEDDED, "7d", "8d") == load_definitions(Deployment.EMBEDDED)


def test_only_the_retention_changes() -> None:
    default, other = (
        {each.name: each for each in load_definitions(Deployment.CLUSTER, retention) if each.kind is COMPONENT_TEMPLATE}
        for retention in (DEFAULT_RETENTION, "7d")
    )
    assert {name for name in default if default[name] != other[name]} == {"inferlog-cluster"}


@pytest.mark.parametrize("retention", ["30d", "12h", "90m", "3600s"])
def test_retention_in_elasticsearch_notation_is_accepted(retention: str) -> None:
    assert check_retention(retention, where="X") == retention


@pytest.mark.parametrize("retention", ["", "30", "d", "-1d", "0d", "1.5d", "2w", "30 d", "30d\n"])
def test_invalid_retention_is_rejected(retention: str) -> None:
    with pytest.raises(OperatorError, match="X is .*; expected a whole number"):
        check_retention(retention, where="X")
