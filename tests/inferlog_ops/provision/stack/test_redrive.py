"""Dead letters are sent again from the set-up's container, by a key that ends with the work."""

from dataclasses import replace
from pathlib import Path

import orjson
import pytest
from elasticsearch import Elasticsearch

from inferlog_ops.core.cluster import Cluster
from inferlog_ops.core.errors import OperatorError
from inferlog_ops.provision.stack import roles
from inferlog_ops.provision.stack.api_keys import lend_key
from inferlog_ops.provision.stack.login import accepts_credentials
from tests.support.installation import Stack, run
from tests.support.store_calls import build_document

EVENTS = "logs-inference.events-default"


@pytest.fixture
def letters(stack: Stack, tmp_path: Path) -> Stack:
    """The installation, with one line that Fluentd could not bring to the store."""
    folder = tmp_path / "dead_letters"
    folder.mkdir()
    line = orjson.dumps(build_document(tmp_path.name), option=orjson.OPT_APPEND_NEWLINE)
    (folder / "inferlog.events.20261123.log").write_bytes(line)
    return Stack(settings=replace(stack.settings, dead_letters=folder))


def count_found(admin: Elasticsearch, event_id: str) -> int:
    admin.indices.refresh(index=EVENTS)
    return int(admin.count(index=EVENTS, query={"ids": {"values": [event_id]}})["count"])


def count_active_keys(admin: Elasticsearch) -> int:
    return len(admin.security.get_api_key(name="inferlog-redrive", active_only=True)["api_keys"])


def test_dead_letter_of_fluentd_is_listed_sent_and_put_aside(
    letters: Stack, admin: Elasticsearch, tmp_path: Path
) -> None:
    listed = run(letters.settings, "redrive", "--list", "--json")
    assert [(row["stream"], row["letters"]) for row in orjson.loads(listed.stdout)] == [("events", 1)]
    assert count_found(admin, tmp_path.name) == 0
    sent = run(letters.settings, "redrive", "--json")
    assert (sent.returncode, orjson.loads(sent.stdout)[0]["created"]) == (0, 1), sent
    assert count_found(admin, tmp_path.name) == 1
    assert run(letters.settings, "redrive").stdout == "no dead letters\n"
    assert count_active_keys(admin) == 0


def test_nothing_was_ever_refused(stack: Stack) -> None:
    assert not stack.settings.dead_letters.exists()
    assert run(stack.settings, "redrive").stdout == "no dead letters\n"


def test_temporary_key_is_invalidated_after_success_and_failure(stack: Stack, admin: Elasticsearch) -> None:
    lent: list[Cluster] = []

    def work() -> None:
        with lend_key(stack.superuser, roles.REDRIVE) as cluster:
            assert accepts_credentials(cluster)
            lent.append(cluster)
            raise OperatorError("fix it")

    with pytest.raises(OperatorError, match="fix it"):
        work()
    assert not accepts_credentials(lent[0])
    assert count_active_keys(admin) == 0


def test_temporary_key_expires_after_a_kill(stack: Stack, admin: Elasticsearch) -> None:
    with lend_key(stack.superuser, roles.REDRIVE):
        (key,) = admin.security.get_api_key(name="inferlog-redrive", active_only=True)["api_keys"]
    assert key["expiration"] - key["creation"] == 24 * 3600 * 1000
