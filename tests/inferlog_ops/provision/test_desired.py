"""The desired-state engine against a server in memory."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from inferlog_ops.core.errors import OperatorError
from inferlog_ops.provision.desired import DesiredObject, ProvisionOutcome, Request, Stamp, ensure, require

READ = Request(method="GET", path="/thing")
NEW = Stamp.from_content("thing.json", {"size": 2})
OLD = Stamp.from_content("thing.json", {"size": 1})


@dataclass
class Answer:
    status: int
    json: Any = None
    message: str = "because"


@dataclass
class Memory:
    """
    A server with one object.

    Attributes:
        stored: Metadata of the object; None if it does not exist.
        before_write: Called before each write; returns the answer of a rejection.
    """

    stored: dict[str, str] | None = None
    before_write: Callable[["Memory"], Answer | None] = lambda _: None
    writes: list[str] = field(default_factory=list)
    label: str = "the server"

    def send(self, request: Request, _doing: str, /) -> Answer:
        if request.method == "GET":
            return Answer(404) if self.stored is None else Answer(200, {"metadata": self.stored})
        self.writes.append(request.method)
        if rejected := self.before_write(self):
            return rejected
        self.stored = request.body["metadata"]
        return Answer(200)


def _build_desired(stamp: Stamp = NEW) -> DesiredObject:
    body = {"metadata": stamp.to_json()}
    return DesiredObject(
        kind="thing",
        name="mine",
        stamp=stamp,
        read=READ,
        find_stamp=lambda answer: Stamp.parse(answer["metadata"]),
        create=Request(method="POST", path="/thing", body=body),
        update=lambda: (Request(method="PUT", path="/thing", body=body),),
        advice={400: "look at the file"},
    )


def test_object_is_created_then_unchanged_then_updated() -> None:
    server = Memory()
    done = [ensure(server, _build_desired(stamp)).outcome.value for stamp in (OLD, OLD, NEW, NEW)]
    assert done == ["created", "unchanged", "updated", "unchanged"]
    assert server.writes == ["POST", "PUT"]


def test_update_is_built_only_for_an_update() -> None:
    server = Memory()
    never = replace(_build_desired(), update=lambda: pytest.fail("an update was built"))
    assert [ensure(server, never).outcome.value for _ in range(2)] == ["created", "unchanged"]


@pytest.mark.parametrize("metadata", [{}, {"managed_by": "somebody"}, {"managed_by": None}])
def test_foreign_object_is_refused_without_a_write(metadata: dict[str, str]) -> None:
    server = Memory(stored=metadata)
    done = ensure(server, _build_desired())
    assert done.outcome is ProvisionOutcome.REFUSED
    assert "the server has a thing mine that inferlog did not create; rename or delete it" in str(done.reason)
    assert (server.stored, server.writes) == (metadata, [])


@pytest.mark.parametrize("older", [{}, {"sha256": NEW.sha256}, {"source": NEW.source}])
def test_object_with_a_stamp_of_an_earlier_inferlog_is_updated(older: dict[str, str]) -> None:
    server = Memory(stored={"managed_by": "inferlog", **older})
    assert ensure(server, _build_desired()).outcome is ProvisionOutcome.UPDATED
    assert server.stored == NEW.to_json()


@pytest.mark.parametrize(("theirs", "outcome"), [(NEW, "unchanged"), (OLD, "updated")])
def test_object_that_another_run_creates_meanwhile_is_read_again(theirs: Stamp, outcome: str) -> None:
    def create_first(server: Memory) -> Answer | None:
        if server.stored is not None:
            return None
        server.stored = theirs.to_json()
        return Answer(409)

    assert ensure(Memory(before_write=create_first), _build_desired()).outcome == outcome


def test_rejected_object_is_an_outcome_with_file_reason_and_advice() -> None:
    server = Memory(before_write=lambda _: Answer(400))
    done = ensure(server, _build_desired())
    assert done.outcome is ProvisionOutcome.REFUSED
    assert done.reason == "thing.json: the server rejected the thing mine with 400: because; look at the file"
    with pytest.raises(OperatorError, match="the server rejected the thing mine"):
        require(server, _build_desired())


def test_object_that_cannot_be_read_is_not_written() -> None:
    server = Memory()
    forbidden = replace(_build_desired(), read=Request(method="HEAD", path="/thing"))
    server.before_write = lambda _: Answer(403)
    done = ensure(server, forbidden)
    assert done.outcome is ProvisionOutcome.REFUSED
    assert done.reason == "reading the thing mine: the server answered 403: because"
    assert server.writes == ["HEAD"]
