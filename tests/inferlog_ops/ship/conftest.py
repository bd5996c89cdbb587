from collections.abc import Iterator
from pathlib import Path

import pytest

from inferlog_ops.core.cluster import Cluster
from tests.support.faulty_store import FaultyStore, faulty_store
from tests.support.shipping import Place


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
