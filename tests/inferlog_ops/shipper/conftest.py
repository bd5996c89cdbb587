from collections.abc import Iterator
from pathlib import Path

import pytest
from faulty_store import FaultyStore, faulty_store
from shipping import Place

from inferlog_ops.cluster import Cluster


@pytest.fixture
def place(tmp_path: Path) -> Place:
    """Directories for a shipper."""
    return Place(tmp_path)


@pytest.fixture
def faulty() -> Iterator[FaultyStore]:
    """A stand-in that can be told to go wrong."""
    with faulty_store() as store:
        yield store


@pytest.fixture
def faulty_cluster(faulty: FaultyStore) -> Cluster:
    return Cluster(url=faulty.url, namespace="test")
