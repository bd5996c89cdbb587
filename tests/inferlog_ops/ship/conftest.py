from collections.abc import Iterator
from pathlib import Path

import pytest

from inferlog_ops.core.cluster import Cluster
from tests.support.faulty_store import FaultyStore, run_faulty_store
from tests.support.shipping import ShipperDirs


@pytest.fixture
def place(tmp_path: Path) -> ShipperDirs:
    return ShipperDirs(tmp_path)


@pytest.fixture
def faulty() -> Iterator[FaultyStore]:
    """A stand-in for Elasticsearch that can inject faults."""
    with run_faulty_store() as store:
        yield store


@pytest.fixture
def faulty_cluster(faulty: FaultyStore) -> Cluster:
    return Cluster(url=faulty.url, namespace="test")
