"""Folders in place of the volumes, and a real Elasticsearch with security that set-up has been run on."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from elasticsearch import Elasticsearch

from inferlog_ops.provision.stack.prepare import prepare
from inferlog_ops.provision.stack.provision import provision
from inferlog_ops.provision.stack.settings import StackSettings
from tests.support.installation import NOW, Stack, build_settings
from tests.support.secured_engine import run_secured_engine


@pytest.fixture
def settings(tmp_path: Path) -> StackSettings:
    return build_settings(tmp_path)


@pytest.fixture
def prepared(settings: StackSettings) -> StackSettings:
    """The same, with everything that can be made without asking anybody."""
    prepare(settings, NOW)
    return settings


@pytest.fixture(scope="package")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """A real Elasticsearch with security, started from the files of `prepare` and brought up by `provision`."""
    root = tmp_path_factory.mktemp("stack")
    settings = build_settings(root)
    prepare(settings, datetime.now(UTC))
    with run_secured_engine(root / "engine", settings.secrets / "elasticsearch") as engine:
        settings = replace(settings, elasticsearch_url=engine.url)
        provision(settings)
        yield Stack(settings=settings)


@pytest.fixture
def admin(stack: Stack) -> Iterator[Elasticsearch]:
    """The superuser's client."""
    with stack.superuser.build_client() as client:
        yield client
