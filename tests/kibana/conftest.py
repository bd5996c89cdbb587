"""A real Kibana with our objects and the golden documents, where KIBANA_URL and ELASTICSEARCH_URL name one."""

from collections.abc import Iterator
from dataclasses import replace
from uuid import uuid4

import pytest
from playwright.sync_api import Browser

from tests.support.browsing import run_browser
from tests.support.real_kibana import ProvisionedKibana, provision_golden, require_kibana


@pytest.fixture(scope="session")
def golden_kibana() -> ProvisionedKibana:
    kibana, server = require_kibana()
    return provision_golden(kibana, replace(server, namespace=f"t{uuid4().hex[:15]}"))


@pytest.fixture(scope="module")
def kibana_browser(golden_kibana: ProvisionedKibana) -> Iterator[Browser]:
    with run_browser() as browser:
        yield browser
