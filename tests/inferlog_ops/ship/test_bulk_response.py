from typing import Any

import orjson
import pytest

from inferlog_ops.ship.bulk_response import Disposition, ItemResult, StoreResponse, parse_bulk_response


def respond(items: Any, status: int = 200) -> StoreResponse:
    content = {"errors": True, "items": items}
    return StoreResponse(status, content, orjson.dumps(content)[:200].decode())


def build_error(status: int, error_type: str, **more: Any) -> dict[str, Any]:
    return {"create": {"status": status, "error": {"type": error_type, "reason": "why", **more}}}


@pytest.mark.parametrize(
    ("status", "error_type", "disposition", "maybe_stored"),
    [
        (409, "version_conflict_engine_exception", Disposition.DUPLICATE, False),
        (400, "document_parsing_exception", Disposition.REFUSED, False),
        (400, "mapper_parsing_exception", Disposition.REFUSED, False),
        (400, "x_content_parse_exception", Disposition.REFUSED, False),
        (400, "strict_dynamic_mapping_exception", Disposition.REFUSED, False),
        (400, "illegal_argument_exception", Disposition.SUSPECTED, False),
        (400, "one_that_is_yet_to_come", Disposition.SUSPECTED, False),
        (400, "index_closed_exception", Disposition.POSTPONED, False),
        (400, "validation_exception", Disposition.POSTPONED, False),
        (401, "security_exception", Disposition.POSTPONED, False),
        (403, "cluster_block_exception", Disposition.POSTPONED, False),
        (404, "index_not_found_exception", Disposition.POSTPONED, False),
        (404, "resource_not_found_exception", Disposition.POSTPONED, False),
        (408, "timeout", Disposition.POSTPONED, True),
        (413, "es_rejected_execution_exception", Disposition.TOO_LARGE, False),
        (429, "es_rejected_execution_exception", Disposition.POSTPONED, False),
        (500, "exception", Disposition.POSTPONED, True),
        (503, "unavailable_shards_exception", Disposition.POSTPONED, True),
    ],
)
def test_item_result_depends_on_status_and_error_type(
    status: int, error_type: str, disposition: Disposition, maybe_stored: bool
) -> None:
    (result,) = parse_bulk_response(respond([build_error(status, error_type)]), 1)  # type: ignore[misc]
    assert (result.disposition, result.maybe_stored) == (disposition, maybe_stored)


def test_reason_contains_the_innermost_cause() -> None:
    cause = {"type": "illegal_argument_exception", "reason": "deeper", "caused_by": {"type": "x", "reason": "deepest"}}
    (result,) = parse_bulk_response(respond([build_error(400, "document_parsing_exception", caused_by=cause)]), 1)  # type: ignore[misc]
    assert result.reason == "answered 400: document_parsing_exception: why (deepest)"


@pytest.mark.parametrize(
    "items",
    [
        None,
        {},
        [],
        [{"create": {"status": 201}}] * 2,
        [{"index": {"status": 201}}],
        [{"create": {}}],
        [{"create": None}],
        [7],
        [{"create": {"status": 400, "error": "text"}}],
        [{"create": {"status": 503}}],
    ],
)
def test_incomplete_response_may_have_stored_everything(items: Any) -> None:
    result = parse_bulk_response(respond(items), 1)
    assert isinstance(result, ItemResult)
    assert (result.disposition, result.maybe_stored) == (Disposition.POSTPONED, True)


def test_document_in_the_failure_store_is_refused() -> None:
    items = [
        {"create": {"status": 201, "failure_store": "used"}},
        {"create": {"status": 201, "failure_store": "not_enabled"}},
    ]
    refused, stored = parse_bulk_response(respond(items), 2)  # type: ignore[misc]
    assert (refused.disposition, stored.disposition) == (Disposition.REFUSED, Disposition.STORED)
