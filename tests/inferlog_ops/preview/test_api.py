"""Responses and access rules of the page's server."""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlencode

import pytest
import urllib3

from inferlog_ops.core.cluster import Cluster
from inferlog_ops.preview.app import create_app
from tests.golden import END, START, Golden, compute_expected_rows
from tests.golden.reading import select_stream
from tests.support.polling import wait_until
from tests.support.serving import serve_app

RANGE: dict[str, Any] = {"from": START.isoformat(), "to": END.isoformat()}
PANELS = "/api/dashboards/inferlog-overview/panels"
P99 = f"{PANELS}/p99"
VERSIONS = "/api/dashboards/inferlog-overview/controls/model-version/values"


class RangeParams:
    """Sends requests without credentials."""

    def __init__(self, url: str) -> None:
        self.url = url

    def __call__(
        self, path: str, *, method: str = "GET", headers: dict[str, str] | None = None, **parameters: Any
    ) -> urllib3.BaseHTTPResponse:
        query = f"?{urlencode(parameters, doseq=True)}" if parameters else ""
        with urllib3.PoolManager(retries=False) as pool:
            return pool.request(method, f"{self.url}{path}{query}", headers=headers)


@pytest.fixture(scope="module")
def ask(filled: Cluster) -> Iterator[RangeParams]:
    with serve_app(create_app(filled)) as url:
        yield RangeParams(url)


def read_rows(answer: dict[str, Any]) -> list[dict[str, Any]]:
    names = [column["name"] for column in answer["columns"]]
    return [dict(zip(names, row, strict=True)) for row in answer["rows"]]


def test_panel_answer_equals_the_answer_of_its_query(ask: RangeParams, known: Golden) -> None:
    (answer,) = ask(f"{PANELS}/error-rate", **RANGE).json()["answers"]
    wanted = compute_expected_rows("error_rate", known.select_between(START, END), START, END)
    assert [(row["model_version"], row["errors"]) for row in read_rows(answer)] == [
        (row["model_version"], row["errors"]) for row in wanted
    ]


def test_panel_answer_has_only_the_columns_that_it_shows(ask: RangeParams) -> None:
    (answer,) = ask(P99, **RANGE).json()["answers"]
    assert [column["name"] for column in answer["columns"]] == ["model_version", "p50_seconds", "p99_seconds"]


def test_panel_is_described_with_the_query_that_it_runs(ask: RangeParams) -> None:
    items = ask("/api/dashboards/inferlog-overview").json()["items"]
    (query,) = next(item["queries"] for item in items if item.get("id") == "p99")
    assert query["text"].endswith("\n| KEEP model_version, p50_seconds, p99_seconds\n")


def test_filter_combines_values_with_or_and_fields_with_and(ask: RangeParams, known: Golden) -> None:
    def count_requests(*filters: str) -> int:
        (answer,) = ask(f"{PANELS}/versions", **RANGE, filter=filters).json()["answers"]
        return sum(row["requests"] for row in read_rows(answer))

    events = select_stream(known.select_between(START, END), "events")
    of = {version: sum(each.get("model_version") == version for each in events) for version in ("v1", "v2", None)}
    assert count_requests("model_version:v1", "model_version:v2") == of["v1"] + of["v2"]
    assert count_requests("model_version:(none)") == of[None]
    assert count_requests("model_version:v1", "service.name:nobody") == 0
    assert count_requests("model_version:v1 OR *") == 0
    assert count_requests('model_version:v1" OR "a"="a') == 0


@pytest.mark.parametrize(
    ("parameters", "complaint"),
    [
        ({"to": RANGE["to"]}, "from"),
        ({**RANGE, "from": "now-1h"}, "from"),
        ({**RANGE, "from": "2026-11-23T06:00:00"}, "timezone"),
        ({**RANGE, "from": "0001-01-01T00:00:00+14:00"}, "1971"),
        ({**RANGE, "to": "9999-12-31T23:59:59-14:00"}, "2261"),
        ({"from": RANGE["to"], "to": RANGE["from"]}, "is empty; its end must be after its start"),
        ({**RANGE, "filter": ["status:error"]}, "status is not a control of this dashboard"),
        ({**RANGE, "filter": ["model_version"]}, "pattern"),
        ({**RANGE, "filter": ["model_version:"]}, "pattern"),
        ({**RANGE, "filter": ["model_version:" + "x" * 2_000]}, "1200"),
        ({**RANGE, "filter": ["model_version:v"] * 101}, "100"),
        ({**RANGE, "query": "FROM *"}, "Extra inputs are not permitted"),
    ],
)
def test_api_rejects_invalid_parameters(parameters: dict[str, Any], complaint: str, ask: RangeParams) -> None:
    answer = ask(P99, **parameters)
    assert answer.status == 422
    assert complaint in answer.data.decode()


@pytest.mark.parametrize(
    "path",
    [
        "/api/dashboards/inferlog-nothing",
        "/api/dashboards/inferlog-overview/panels/nothing",
        "/api/dashboards/inferlog-overview/controls/nothing/values",
        "/api/nothing",
        "/docs",
        "/redoc",
        "/static/",
        "/static/../app.py",
        "/static/..%2f..%2fapp.py",
        "/vendor/datasets/iris.csv.gz",
    ],
)
def test_api_returns_404_for_unknown_objects(path: str, ask: RangeParams) -> None:
    assert ask(path, **RANGE).status == 404


def test_search_is_text_not_a_pattern(ask: RangeParams) -> None:
    def found(search: str) -> list[str]:
        return [each["value"] for each in ask(VERSIONS, **RANGE, search=search).json()["values"]]

    assert found("V") == found("v") != []
    assert found("none") == ["(none)"]
    for pattern in (".*", '"', "\\", "[", ")(", "v|", "@", "#", "~", "<1-2>", "\x00", "🦊", "x" * 200):
        assert found(pattern) == [], pattern
    assert ask(VERSIONS, **RANGE, search="x" * 201).status == 422


def test_control_options_respect_the_other_controls(ask: RangeParams) -> None:
    assert ask(VERSIONS, **RANGE, filter="service.name:nobody").json()["values"] == []
    chosen = ask(VERSIONS, **RANGE, filter="model_version:v1").json()["values"]
    assert chosen == ask(VERSIONS, **RANGE).json()["values"]  # its own do not narrow what it offers


@pytest.mark.parametrize("path", ["/", "/api/status", "/api/nothing", "/static/js/main.js", "/vendor/plotly.min.js"])
def test_every_response_has_the_security_headers(path: str, ask: RangeParams) -> None:
    headers = ask(path).headers
    policy = dict(part.strip().split(" ", 1) for part in headers["content-security-policy"].split(";"))
    assert policy["default-src"] == "'none'"
    assert policy["script-src"] == policy["connect-src"] == "'self'"
    assert policy["frame-ancestors"] == policy["base-uri"] == policy["form-action"] == "'none'"
    assert policy["require-trusted-types-for"] == "'script'"
    assert "unsafe-inline" not in policy["style-src-elem"]
    assert "unsafe-eval" not in headers["content-security-policy"]
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "no-referrer"
    assert headers["cross-origin-resource-policy"] == "same-origin"


@pytest.mark.parametrize(
    "host", ["attacker.example", "attacker.example:5602", "127.0.0.1.attacker.example", "localhost.", ""]
)
def test_other_host_names_are_rejected(host: str, ask: RangeParams) -> None:
    answer = ask("/api/status", headers={"Host": host})
    assert answer.status == 421
    assert "only as 127.0.0.1 and localhost" in answer.data.decode()


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "localhost:5602"])
def test_local_host_names_are_accepted(host: str, ask: RangeParams) -> None:
    assert ask("/api/status", headers={"Host": host}).status == 200


def test_other_sites_can_link_to_the_page_but_not_read_figures(ask: RangeParams) -> None:
    from_elsewhere = {"Sec-Fetch-Site": "cross-site"}
    assert ask("/", headers=from_elsewhere).status == 200
    assert ask(P99, headers=from_elsewhere, **RANGE).status == 403


@pytest.mark.parametrize("method", ["HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE"])
def test_api_rejects_methods_other_than_get(method: str, ask: RangeParams) -> None:
    answer = ask("/api/status", method=method)
    assert answer.status == 405
    assert answer.headers["allow"] == "GET"


def test_browser_caches_and_revalidates_scripts(ask: RangeParams) -> None:
    for path in ("/vendor/plotly.min.js", "/static/js/main.js"):
        first = ask(path)
        assert first.status == 200
        assert "javascript" in first.headers["content-type"]
        again = ask(path, headers={"If-None-Match": first.headers["etag"]})
        assert (again.status, again.data) == (304, b"")


def test_api_runs_four_queries_at_a_time_and_skips_closed_requests() -> None:
    """Further requests wait for a slot; requests closed while waiting run no query."""
    answered = threading.Event()
    asked: list[bytes] = []

    class Slow(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            asked.append(self.rfile.read(int(self.headers["content-length"])))
            answered.wait(30)
            self.close_connection = True

        def log_message(self, *_: Any) -> None: ...

    with ThreadingHTTPServer(("127.0.0.1", 0), Slow) as store, ThreadPoolExecutor(8) as people:
        threading.Thread(target=store.serve_forever, daemon=True).start()
        try:
            with serve_app(create_app(Cluster(url=f"http://127.0.0.1:{store.server_port}"))) as url:
                staying = [people.submit(RangeParams(url), P99, **RANGE) for _ in range(4)]
                wait_until(lambda: len(asked) == 4, what="four questions")
                with pytest.raises(urllib3.exceptions.ReadTimeoutError):
                    urllib3.request("GET", f"{url}{P99}?{urlencode(RANGE)}", timeout=0.5, retries=False)
                answered.set()
                assert [each.result().status for each in staying] == [502] * 4
                assert RangeParams(url)("/api/dashboards").status == 200
        finally:
            answered.set()
            store.shutdown()
    # Each of the four is tried four times, by the client's own rule for connections that break off.
    assert len(asked) <= 16


def test_openapi_describes_the_routes(ask: RangeParams) -> None:
    paths = ask("/openapi.json").json()["paths"]
    assert {method for path in paths.values() for method in path} == {"get"}
    assert len(paths) == 5


def test_password_in_the_elasticsearch_url_is_not_shown(filled: Cluster) -> None:
    cluster = Cluster(url=filled.url.replace("//", "//elastic:hunter2@"), namespace="nobody")
    with serve_app(create_app(cluster)) as url:
        said = RangeParams(url)("/api/status").data.decode()
    assert "hunter2" not in said
    assert "inferlog provision" in said
