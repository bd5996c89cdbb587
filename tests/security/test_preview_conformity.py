"""The preview server conforms to its OpenAPI document for any request."""

from collections.abc import Iterator
from typing import Any

import pytest

from inferlog_ops.preview.app import create_app
from tests.security import conformity
from tests.support.indexing import create_fresh_cluster
from tests.support.serving import serve_app

EXAMPLES = 12
IDS = {
    "dashboard_id": ["inferlog-overview", "inferlog-nothing"],
    "panel_id": ["p99", "error-rate", "nothing"],
    "control_id": ["model-version", "nothing"],
}
QUESTIONS: dict[str, list[Any]] = {
    "from": ["2026-11-23T06:00:00Z", "1971-01-01T00:00:00+14:00"],
    "to": ["2026-11-23T07:00:00.000001-12:00", "2261-12-31T23:59:59Z"],
    "filter": [[], ["model_version:v1"], ["model_version:(none)", "service.name:\x00\u2028'\"{}"]],
}


@pytest.fixture(scope="module")
def url(engine_url: str) -> Iterator[str]:
    with serve_app(create_app(create_fresh_cluster(engine_url))) as url:
        yield url


@pytest.mark.parametrize("known", [IDS | QUESTIONS, IDS], ids=["questions that make sense", "any questions"])
def test_every_response_conforms_to_the_openapi_document(url: str, known: dict[str, list[Any]]) -> None:
    asked = {
        each.label: conformity.check(each, examples=EXAMPLES, sense_is_taken=known is not IDS)
        for each in conformity.find_operations(url, known)
    }
    assert len(asked) == 5
    assert asked["GET /api/dashboards/{dashboard_id}/panels/{panel_id}"] >= 2 * EXAMPLES
