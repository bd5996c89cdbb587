"""Dead letters are sent again from the set-up's container, by a key that ends with the work."""

from dataclasses import replace
from pathlib import Path

import orjson
import pytest
from elasticsearch import Elasticsearch

from inferlog_ops.core.cluster import Cluster
from inferlog_ops.core.errors import OperatorError
from inferlog_ops.provision.stack import roles
from inferlog_ops.provision.stack.lent_key import lent_key
from inferlog_ops.provision.stack.login import authenticates
from tests.support.installation import Stack, run
from tests.support.store_calls import document

EVENTS = "logs-inference.events-default"


@pytest.fixture
def letters(stack: Stack, tmp_path: Path) -> Stack:
    """The installation, with one line that Fluentd could not bring to the store."""
    folder = tmp_path / "dead_letters"
    folder.mkdir()
    line = orjson.dumps(document(tmp_path.name), option=orjson.OPT_APPEND_NEWLINE)
    (folder / "inferlog.events.20261123.log").write_bytes(line)
    return Stack(settings=replace(stack.settings, dead_letters=folder))


def found(admin: Elasticsearch, event_id: str) -> int:
    admin.indices.refresh(index=EVENTS)
    return int(admin.count(index=EVENTS, query={"ids": {"values": [event_id]}})["count"])


def keys_that_work(admin: Elasticsearch) -> int:
    return len(admin.security.get_api_key(name="inferlog-redrive", active_only=True)["api_keys"])


def test_dead_letter_of_fluentd_is_listed_sent_and_put_aside(
    letters: Stack, admin: Elasticsearch, tmp_path: Path
) -> None:
    listed = run(letters.settings, "redrive", "--list", "--json")
    assert [(row["stream"], row["letters"]) for row in orjson.loads(listed.stdout)] == [("events", 1)]
    assert found(admin, tmp_path.name) == 0
    sent = run(letters.settings, "redrive", "--json")
    assert (sent.returncode, orjson.loads(sent.stdout)[0]["created"]) == (0, 1), sent
    assert found(admin, tmp_path.name) == 1
    assert run(letters.settings, "redrive").stdout == "no dead letters\n"
    assert keys_that_work(admin) == 0


def test_nothing_was_ever_refused(stack: Stack) -> None:
    assert not stack.settings.dead_letters.exists()
    assert run(stack.settings, "redrive").stdout == "no dead letters\n"


def test_lent_key_ends_with_the_work_however_that_ends(stack: Stack, admin: Elasticsearch) -> None:
    lent: list[Cluster] = []

    def work() -> None:
        with lent_key(stack.superuser, roles.REDRIVE) as cluster:
            assert authenticates(cluster)
            lent.append(cluster)
            raise OperatorError("mend it")

    with pytest.raises(OperatorError, match="mend it"):
        work()
    assert not authenticates(lent[0])
    assert keys_that_work(admin) == 0


def test_lent_key_ends_by_itself_if_the_work_is_killed(stack: Stack, admin: Elasticsearch) -> None:
    with lent_key(stack.superuser, roles.REDRIVE):
        (key,) = admin.security.get_api_key(name="inferlog-redrive", active_only=True)["api_keys"]
    assert key["expiration"] - key["creation"] == 24 * 3600 * 1000
