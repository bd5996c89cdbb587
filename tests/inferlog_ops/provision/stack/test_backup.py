"""The restore in docs/containers.md brings the events back."""

import re
from pathlib import Path

import orjson
import pytest
from elasticsearch import Elasticsearch

from tests.support.installation import Stack
from tests.support.store_calls import Call, create, send_call

PAGE = Path(__file__).parents[4] / "docs/containers.md"
EVENTS = "logs-inference.events-default"
RESTORED = "logs-inference.events-restored"


def read_requests() -> list[Call]:
    """Return the requests on the page, in their order."""
    found = []
    for block in re.findall(r"^```console\n(.*?)^```", PAGE.read_text(), re.MULTILINE | re.DOTALL):
        for request in block.split("\n\n"):
            line, body = request.split("\n", 1)
            method, path = line.split()
            found.append(Call(what=line, method=method, path=f"/{path}", body=orjson.loads(body)))
    return found


@pytest.fixture
def repository(stack: Stack, tmp_path: Path) -> str:
    """The folder that this engine may write snapshots to, in place of the container's."""
    return str(stack.settings.secrets.parent / "engine/snapshots" / tmp_path.name)


def test_events_are_restored_by_the_requests_of_the_page(
    stack: Stack, admin: Elasticsearch, repository: str, tmp_path: Path
) -> None:
    assert send_call(admin, create("writes", EVENTS, tmp_path.name)) == 201
    register, snapshot, restore = read_requests()
    register.body["settings"]["location"] = repository
    assert [send_call(admin, call) for call in (register, snapshot, restore)] == [200] * 3
    found = admin.search(index=RESTORED, query={"ids": {"values": [tmp_path.name]}})
    assert found["hits"]["total"]["value"] == 1
