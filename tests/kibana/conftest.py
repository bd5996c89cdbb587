"""A real Kibana with our objects and documents, where KIBANA_URL and ELASTICSEARCH_URL name one, and a browser."""

from collections.abc import Iterator
from dataclasses import replace
from uuid import uuid4

import pytest
from playwright.sync_api import Browser

from benchmarks.day_of_events import index_a_day
from tests.support.browsing import run_browser
from tests.support.real_kibana import (
    GoldenKibana,
    ProvisionedKibana,
    provision,
    provision_golden,
    require_kibana,
)

EVENTS_OF_THE_BENCHMARK = 5_000  # so that the last hour has more callers than a table shows


@pytest.fixture(scope="session")
def golden_kibana() -> GoldenKibana:
    kibana, server = require_kibana()
    return provision_golden(kibana, replace(server, namespace=f"t{uuid4().hex[:15]}"))


@pytest.fixture(scope="session")
def benchmark_kibana() -> ProvisionedKibana:
    """Return a Kibana with a day of events as the benchmark of the panels indexes it."""
    kibana, server = require_kibana()
    provisioned = provision(kibana, replace(server, namespace=f"t{uuid4().hex[:15]}"))
    index_a_day(provisioned.cluster, EVENTS_OF_THE_BENCHMARK, heartbeat_seconds=600)
    return provisioned


@pytest.fixture(scope="module")
def kibana_browser() -> Iterator[Browser]:
    require_kibana()
    with run_browser() as browser:
        yield browser
