from typing import Any

import orjson
import pytest

from inferlog_ops.ship.bulk_response import Disposition, ItemResult, verdicts
from inferlog_ops.ship.store import Answer


def answer(items: Any, status: int = 200) -> Answer:
    content = {"errors": True, "items": items}
    return Answer(status, content, orjson.dumps(content)[:200].decode())


def failed(status: int, error_type: str, **more: Any) -> dict[str, Any]:
    return {"create": {"status": status, "error": {"type": error_type, "reason": "why", **more}}}


@pytest.mark.parametrize(
    ("status", "error_type", "fate", "unclear"),
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
def test_an_items_status_and_type_decide(status: int, error_type: str, fate: Disposition, unclear: bool) -> None:
    (verdict,) = verdicts(answer([failed(status, error_type)]), 1)  # type: ignore[misc]
    assert (verdict.fate, verdict.unclear) == (fate, unclear)


def test_the_innermost_cause_is_part_of_the_reason() -> None:
    cause = {"type": "illegal_argument_exception", "reason": "deeper", "caused_by": {"type": "x", "reason": "deepest"}}
    (verdict,) = verdicts(answer([failed(400, "document_parsing_exception", caused_by=cause)]), 1)  # type: ignore[misc]
    assert verdict.reason == "answered 400: document_parsing_exception: why (deepest)"


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
def test_what_is_no_complete_answer_leaves_everything_unclear(items: Any) -> None:
    verdict = verdicts(answer(items), 1)
    assert isinstance(verdict, ItemResult)
    assert (verdict.fate, verdict.unclear) == (Disposition.POSTPONED, True)


def test_a_document_in_a_failure_store_is_not_in_the_stream() -> None:
    items = [
        {"create": {"status": 201, "failure_store": "used"}},
        {"create": {"status": 201, "failure_store": "not_enabled"}},
    ]
    refused, stored = verdicts(answer(items), 2)  # type: ignore[misc]
    assert (refused.fate, stored.fate) == (Disposition.REFUSED, Disposition.STORED)
