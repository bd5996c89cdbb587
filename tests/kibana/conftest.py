"""A real Kibana with our objects and the golden documents, where KIBANA_URL and ELASTICSEARCH_URL name one."""

import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from uuid import uuid4

import pytest
from playwright.sync_api import Browser

from inferlog_ops.core.cluster import Cluster
from inferlog_ops.provision.elasticsearch import provision_cluster
from tests.golden import Golden, golden
from tests.support.browsing import running_browser
from tests.support.indexing import index
from tests.support.real_kibana import require_kibana


@dataclass(frozen=True, slots=True, kw_only=True)
class ProvisionedKibana:
    """
    A Kibana that has our objects for one namespace.

    Attributes:
        url: Its address.
        cluster: Its Elasticsearch, with the namespace.
        documents: Documents in the streams of the namespace.
    """

    url: str
    cluster: Cluster
    documents: Golden

    def object_id(self, base: str) -> str:
        """Return the id of the object *base* in the namespace."""
        return f"{base}-{self.cluster.namespace}"


@pytest.fixture(scope="session")
def kibana_browser() -> Iterator[Browser]:
    with running_browser() as browser:
        yield browser


@pytest.fixture(scope="session")
def golden_kibana() -> ProvisionedKibana:
    kibana, server = require_kibana()
    cluster = replace(server, namespace=f"t{uuid4().hex[:15]}")
    provision_cluster(cluster)
    documents = golden()
    index(cluster, "events", documents.first)
    index(cluster, "health", documents.heartbeats)
    index(cluster, "app", documents.log_lines)
    for repeated in (documents.again, documents.again_later):
        with cluster.client() as client:
            client.indices.rollover(alias=f"logs-inference.events-{cluster.namespace}")
        index(cluster, "events", repeated)
    command = ["inferlog_ops.cli.main", "provision", "--kibana", kibana.base_url, "--namespace", cluster.namespace]
    subprocess.run([sys.executable, "-m", *command], check=True)
    return ProvisionedKibana(url=kibana.base_url, cluster=cluster, documents=documents)
