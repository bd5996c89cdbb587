"""A real Fluentd with what set-up made for it: it trusts this authority, is let in by this key, and by no other."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from elasticsearch import Elasticsearch

from inferlog_ops.provision.stack.prepare import prepare
from inferlog_ops.provision.stack.rotate import RotatableSecret, rotate
from tests.fluentd.process import Fluentd, is_installed
from tests.support.installation import Stack, build_settings
from tests.support.polling import wait_until
from tests.support.shipping import write_events

if not is_installed():
    pytest.skip("no fluentd on PATH: whether it gets in is not tested here", allow_module_level=True)

pytestmark = [pytest.mark.fluentd, pytest.mark.timeout(600)]

MAJOR = 8  # of the engine with security


@pytest.fixture
def fluentd(stack: Stack, tmp_path: Path) -> Iterator[Fluentd]:
    """A Fluentd as docker-compose.yml has it, not started yet."""
    settings = {
        "ELASTICSEARCH_CA_FILE": str(stack.settings.ca_file),
        "ELASTICSEARCH_API_KEY_FILE": str(stack.settings.secrets / "fluentd/elasticsearch_api_key"),
        "INFERLOG_FLUENTD_RETRY_MAX_INTERVAL": "2s",
    }
    fluentd = Fluentd(
        tmp_path, url=stack.settings.elasticsearch_url, major=MAJOR, namespace="default", settings=settings
    )
    yield fluentd
    fluentd.kill_if_alive()


def write(fluentd: Fluentd, name: str) -> str:
    """Write one event and return its id."""
    event_id = f"{fluentd.root.name}-{name}"
    fluentd.logs.mkdir(exist_ok=True)
    write_events(fluentd.logs / f"events-{name}-1-1.jsonl", [event_id])
    return event_id


def is_there(admin: Elasticsearch, event_id: str) -> bool:
    stream = "logs-inference.events-default"
    admin.indices.refresh(index=stream)
    return bool(admin.count(index=stream, query={"ids": {"values": [event_id]}})["count"])


def test_fluentd_ships_over_tls_with_its_key_and_with_a_new_one(
    fluentd: Fluentd, stack: Stack, admin: Elasticsearch
) -> None:
    fluentd.start()
    first = write(fluentd, "first")
    wait_until(lambda: is_there(admin, first), 90, "the first event")
    rotate(stack.settings, RotatableSecret.FLUENTD, datetime.now(UTC), print)
    second = write(fluentd, "second")
    wait_until(lambda: is_there(admin, second), 90, "the event that was sent with the new key")
    assert fluentd.read_dead_letters("events") == []


def test_fluentd_sends_nothing_to_an_untrusted_server(fluentd: Fluentd, admin: Elasticsearch, tmp_path: Path) -> None:
    others = build_settings(tmp_path / "others")
    prepare(others, datetime.now(UTC))
    misled = replace(fluentd, settings={**fluentd.settings, "ELASTICSEARCH_CA_FILE": str(others.ca_file)})
    event_id = write(misled, "kept")
    misled.start()
    try:
        wait_until(lambda: b"certificate verify failed" in misled.log.read_bytes(), 60, "a doubt of the certificate")
        assert not is_there(admin, event_id)
    finally:
        misled.kill_if_alive()
