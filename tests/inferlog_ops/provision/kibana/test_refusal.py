"""Kibana's own words about a refused dashboard, with the panels that they are about."""

from typing import Any

import pytest

from inferlog_ops.provision.kibana.client import KibanaResponse
from inferlog_ops.provision.kibana.desired import DesiredObject, json_request
from inferlog_ops.provision.kibana.refusal import explain_rejection
from tests.support.kibana_objects import Reply

BODY: dict[str, Any] = {
    "title": "Two",
    "panels": [
        {"type": "vis", "id": "p99", "config": {"type": "metric", "title": "p99 latency"}},
        {
            "title": "More",
            "panels": [
                {"type": "vis", "id": "errors", "config": {"type": "xy", "title": "Errors"}},
                {"type": "markdown", "id": "head", "config": {"content": "#"}},
            ],
        },
    ],
}


def _why(reply: Reply) -> str:
    put = json_request("PUT", "/api/dashboards/two", BODY)
    wanted = DesiredObject(
        kind="dashboard",
        id="two",
        source="dashboards/two.json",
        digest="0",
        body=BODY,
        read="/api/dashboards/two",
        digest_in=lambda _answer: None,
        create=put,
        update=(put,),
    )
    content = reply.content if isinstance(reply.content, bytes) else (json_request("", "", reply.content).body or b"")
    return explain_rejection(wanted, KibanaResponse(status=reply.status, body=content))


@pytest.mark.parametrize(
    ("message", "panel"),
    [
        ("[request body.panels.0.config.type]: expected value to equal [xy]", "p99 (p99 latency)"),
        ("[request body.panels.1.panels.0.config.layers.0]: unknown key", "errors (Errors)"),
        ("[request body.panels[1].panels[1].config.settings]: expected value", "head"),
        ("[request body.panels.1.grid]: expected value", "More"),
    ],
)
def test_path_in_the_schema_is_given_its_panel(message: str, panel: str) -> None:
    said = _why(Reply(400, {"statusCode": 400, "error": "Bad KibanaRequest", "message": message}))
    assert said == f"dashboards/two.json: Kibana rejected the dashboard two with 400: panel {panel}: {message}"


@pytest.mark.parametrize("message", ["[request body.panels.7]: x", "[request body.titel]: x", "nothing about it"])
def test_path_that_leads_to_no_panel_is_shown_as_it_is(message: str) -> None:
    assert _why(Reply(400, {"message": message})).endswith(f"with 400: {message}")


def test_panel_errors_name_the_panels_that_kibana_quotes() -> None:
    errors = [
        {
            "message": "no such column",
            "panel_type": "vis",
            "panel_config": {"title": "Errors", "type": "xy", "more": 1},
        },
        {"message": "too long", "panel_type": "markdown", "panel_config": {"content": "#"}},
        {"message": "unknown image", "panel_type": "image", "panel_config": {}},
    ]
    said = _why(Reply(400, {"message": "Bad request", "panelErrors": errors}))
    assert said.partition("400: ")[2] == (
        "panel errors (Errors): no such column; panel head: too long; panel image: unknown image"
    )


def test_long_message_is_cut_and_stays_one_line() -> None:
    said = _why(Reply(400, {"message": "types that failed validation:\n- " + "x" * 9000}))
    assert "\n" not in said
    assert len(said) < 2000


def test_answer_without_words_is_no_traceback() -> None:
    assert _why(Reply(502, b"")).endswith("with 502: no reason given")
