"""Faults of the store's responses, and detection of faults without effect."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import nullcontext
from types import SimpleNamespace
from typing import Any

import pytest

from tests.chaos.fault_list import FAULTS
from tests.chaos.faults import answers
from tests.chaos.faults.fault import MissedError
from tests.chaos.proxy import ProxyRequest, forward_unchanged

EVENTS = "logs-inference.events-chaos"
TAKEN = b'HTTP/1.1 200 OK\r\ncontent-length: 40\r\n\r\n{"errors":false,"items":[{"create":{"status":201}}]}'
UNAVAILABLE = b'HTTP/1.1 503 Service Unavailable\r\ncontent-length: 12\r\n\r\n{"error":"?"}'


def _build_bulk_request(documents: int, index: str = EVENTS) -> ProxyRequest:
    body = b'{"create":{}}\n{}\n' * documents
    return ProxyRequest(head=b"POST /%s/_bulk HTTP/1.1\r\ncontent-length: %d" % (index.encode(), len(body)), body=body)


def _make_forward(answer: bytes) -> Callable[[ProxyRequest], Awaitable[bytes]]:
    async def forward(_: ProxyRequest) -> bytes:
        return answer

    return forward


@pytest.fixture
def rolled_over() -> list[str]:
    return []


@pytest.fixture
def stack(rolled_over: list[str]) -> Any:
    client = SimpleNamespace(indices=SimpleNamespace(rollover=lambda *, alias: rolled_over.append(alias)))
    return SimpleNamespace(
        proxy=SimpleNamespace(behaviour=forward_unchanged),
        cluster=SimpleNamespace(namespace="chaos", build_client=lambda: nullcontext(client)),
    )


def _send(stack: Any, request: ProxyRequest, answer: bytes) -> bytes:
    """Return the shipper's response to *request* when the engine answers with *answer*."""

    async def send() -> bytes:
        sent: bytes = await stack.proxy.behaviour(request, _make_forward(answer))
        return sent

    return asyncio.run(send())


def test_rollover_happens_after_documents_were_stored(stack: Any, rolled_over: list[str]) -> None:
    inject = FAULTS["rollover"].inject(stack, 1.0)
    next(inject)

    async def store() -> None:
        stored = asyncio.Event()

        async def forward(_: ProxyRequest) -> bytes:
            await stored.wait()
            return TAKEN

        a_try = asyncio.create_task(stack.proxy.behaviour(_build_bulk_request(1), forward))
        await asyncio.sleep(0)
        next(inject)
        assert rolled_over == [], "the documents are on their way"
        stored.set()
        assert TAKEN.startswith(await a_try)

    asyncio.run(store())
    next(inject)
    assert rolled_over == [EVENTS]


@pytest.mark.parametrize(
    ("request_", "answer"),
    [
        (_build_bulk_request(1, "logs-inference.health-chaos"), TAKEN),
        (_build_bulk_request(1), UNAVAILABLE),
        (_build_bulk_request(1), b""),
    ],
    ids=["another stream", "refused", "no answer"],
)
def test_rollover_does_not_happen_without_stored_event(
    request_: ProxyRequest, answer: bytes, stack: Any, rolled_over: list[str]
) -> None:
    inject = FAULTS["rollover"].inject(stack, 1.0)
    next(inject)
    _send(stack, request_, answer)
    next(inject)
    assert rolled_over == []


@pytest.mark.parametrize("name", [name for name, fault in FAULTS.items() if fault.proxied])
def test_bad_response_is_missed_when_no_request_is_affected(
    name: str, stack: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(answers, "_PATIENCE_SECONDS", 0.0)
    with pytest.raises(MissedError, match="no bulk request of the shipper was affected"):
        list(FAULTS[name].inject(stack, 1.0))
    assert stack.proxy.behaviour is forward_unchanged


@pytest.mark.parametrize(("documents", "happened"), [(1, False), (2, True)])
def test_items_are_rejected_only_when_request_has_a_second_one(
    documents: int, *, happened: bool, stack: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(answers, "_PATIENCE_SECONDS", 0.0)
    inject = FAULTS["items-429"].inject(stack, 1.0)
    next(inject)
    assert (b'"status":429' in _send(stack, _build_bulk_request(documents), TAKEN)) == happened
    with nullcontext() if happened else pytest.raises(MissedError):
        list(inject)


@pytest.mark.parametrize("answer", [UNAVAILABLE, b""])
def test_response_without_items_is_forwarded_unchanged(answer: bytes, stack: Any) -> None:
    inject = FAULTS["items-429"].inject(stack, 1.0)
    next(inject)
    assert _send(stack, _build_bulk_request(2), answer) == answer
