"""The real Kibana of ``KIBANA_URL``, over the Elasticsearch of ``ELASTICSEARCH_URL``."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import pytest

from inferlog_ops.core.cluster import Cluster, resolve_cluster
from inferlog_ops.provision.desired import Request
from inferlog_ops.provision.elasticsearch import provision_cluster
from inferlog_ops.provision.kibana.address import Kibana, resolve_kibana
from inferlog_ops.provision.kibana.client import KibanaClient
from inferlog_ops.provision.kibana.plan import Plan
from inferlog_ops.provision.kibana.provision import provision_kibana
from inferlog_ops.provision.kibana.saved_objects import MarkedObject
from tests.golden import Golden
from tests.support.indexing import index_golden


@dataclass(frozen=True, slots=True, kw_only=True)
class ProvisionedKibana:
    """
    A Kibana that has our objects for one namespace.

    Attributes:
        url: Its address.
        cluster: Its Elasticsearch, with the namespace.
    """

    url: str
    cluster: Cluster

    def build_object_id(self, base: str) -> str:
        """Return the id of the object *base* in the namespace."""
        return f"{base}-{self.cluster.namespace}"


@dataclass(frozen=True, slots=True, kw_only=True)
class GoldenKibana(ProvisionedKibana):
    """A provisioned Kibana with the golden *documents* in the streams of its namespace."""

    documents: Golden


def require_kibana() -> tuple[Kibana, Cluster]:
    """Return both, or skip the module that calls this while it is imported."""
    url, cluster_url = os.environ.get("KIBANA_URL"), os.environ.get("ELASTICSEARCH_URL")
    if not url or not cluster_url:
        pytest.skip(
            "KIBANA_URL and ELASTICSEARCH_URL are not set: nothing was tested on a real Kibana", allow_module_level=True
        )
    return resolve_kibana(url, "default"), resolve_cluster(cluster_url, "default")


def provision(kibana: Kibana, cluster: Cluster) -> ProvisionedKibana:
    """Create all objects in both, for the namespace of *cluster*."""
    provision_cluster(cluster)
    assert all(each.reason is None for each in provision_kibana(kibana, cluster.namespace))
    return ProvisionedKibana(url=kibana.base_url, cluster=cluster)


def provision_golden(kibana: Kibana, cluster: Cluster) -> GoldenKibana:
    """Create all objects in both, and index the golden documents."""
    provisioned = provision(kibana, cluster)
    return GoldenKibana(url=provisioned.url, cluster=cluster, documents=index_golden(cluster))


@contextmanager
def delete_afterwards(kibana: Kibana, plan: Plan) -> Iterator[None]:
    """Delete all objects of *plan* after the block."""
    try:
        yield
    finally:
        with KibanaClient(kibana) as client:
            paths = [each.read.path for each in (*reversed(plan.rules), *plan.data_views)]
            paths += [_build_path(each) for each in plan.saved_objects]
            for path in paths:
                client.send(Request(method="DELETE", path=path), "cleaning up")


def _build_path(each: MarkedObject) -> str:
    return f"/api/saved_objects/{each.content.type}/{each.content.id}"
