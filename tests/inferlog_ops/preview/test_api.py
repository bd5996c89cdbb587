"""What the page's server answers, and to whom."""

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
from tests.golden import END, START, Golden, expected
from tests.golden.reading import of_stream
from tests.support.polling import wait_until
from tests.support.serving import serving

RANGE = {"from": START.isoformat(), "to": END.isoformat()}
P99 = "/api/dashboards/inferlog-overview/panels/p99"
VERSIONS = "/api/dashboards/inferlog-overview/controls/model-version/values"


class Asking:
    """Asks a server, as nobody in particular."""

    def __init__(self, url: str) -> None:
        self.url = url

    def __call__(
        self, path: str, *, method: str = "GET", headers: dict[str, str] | None = None, **parameters: Any
    ) -> urllib3.BaseHTTPResponse:
        query = f"?{urlencode(parameters, doseq=True)}" if parameters else ""
        with urllib3.PoolManager(retries=False) as pool:
            return pool.request(method, f"{self.url}{path}{query}", headers=headers)


@pytest.fixture(scope="module")
def ask(filled: Cluster) -> Iterator[Asking]:
    with serving(create_app(filled)) as url:
        yield Asking(url)


def test_a_panel_s_answer_is_that_of_its_query(ask: Asking, known: Golden) -> None:
    (answer,) = ask(P99, **RANGE).json()["answers"]
    names = [column["name"] for column in answer["columns"]]
    rows = [dict(zip(names, row, strict=True)) for row in answer["rows"]]
    wanted = expected("p99_latency", known.between(START, END), START, END)
    assert [(row["model_version"], row["requests"]) for row in rows] == [
        (row["model_version"], row["requests"]) for row in wanted
    ]


def test_values_of_one_field_add_and_those_of_several_restrict(ask: Asking, known: Golden) -> None:
    def requests(*filters: str) -> int:
        (answer,) = ask(P99, **RANGE, filter=filters).json()["answers"]
        return sum(row[1] for row in answer["rows"])

    events = of_stream(known.between(START, END), "events")
    of = {version: sum(each.get("model_version") == version for each in events) for version in ("v1", "v2", None)}
    assert requests("model_version:v1", "model_version:v2") == of["v1"] + of["v2"]
    assert requests("model_version:(none)") == of[None]
    assert requests("model_version:v1", "service.name:nobody") == 0
    assert requests("model_version:v1 OR *") == 0
    assert requests('model_version:v1" OR "a"="a') == 0


@pytest.mark.parametrize(
    ("parameters", "complaint"),
    [
        ({"to": RANGE["to"]}, "from"),
        ({**RANGE, "from": "now-1h"}, "from"),
        ({**RANGE, "from": "2026-11-23T06:00:00"}, "timezone"),
        ({**RANGE, "from": "0001-01-01T00:00:00+14:00"}, "1971"),
        ({**RANGE, "to": "9999-12-31T23:59:59-14:00"}, "2261"),
        ({"from": RANGE["to"], "to": RANGE["from"]}, "is empty; its end has to be later"),
        ({**RANGE, "filter": ["status:error"]}, "status is no control of this dashboard"),
        ({**RANGE, "filter": ["model_version"]}, "pattern"),
        ({**RANGE, "filter": ["model_version:"]}, "pattern"),
        ({**RANGE, "filter": ["model_version:" + "x" * 2_000]}, "1200"),
        ({**RANGE, "filter": ["model_version:v"] * 101}, "100"),
        ({**RANGE, "query": "FROM *"}, "Extra inputs are not permitted"),
    ],
)
def test_what_may_not_be_asked_is_refused(parameters: dict[str, Any], complaint: str, ask: Asking) -> None:
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
def test_what_is_not_there_is_404(path: str, ask: Asking) -> None:
    assert ask(path, **RANGE).status == 404


def test_a_search_is_text_and_no_pattern(ask: Asking) -> None:
    def found(search: str) -> list[str]:
        return [each["value"] for each in ask(VERSIONS, **RANGE, search=search).json()["values"]]

    assert found("V") == found("v") != []
    assert found("none") == ["(none)"]
    for pattern in (".*", '"', "\\", "[", ")(", "v|", "@", "#", "~", "<1-2>", "\x00", "🦊", "x" * 200):
        assert found(pattern) == [], pattern
    assert ask(VERSIONS, **RANGE, search="x" * 201).status == 422


def test_values_are_those_of_the_other_controls_filter(ask: Asking) -> None:
    assert ask(VERSIONS, **RANGE, filter="service.name:nobody").json()["values"] == []
    chosen = ask(VERSIONS, **RANGE, filter="model_version:v1").json()["values"]
    assert chosen == ask(VERSIONS, **RANGE).json()["values"]  # its own do not narrow what it offers


@pytest.mark.parametrize("path", ["/", "/api/status", "/api/nothing", "/static/js/main.js", "/vendor/plotly.min.js"])
def test_every_answer_tells_the_browser_what_it_may_do(path: str, ask: Asking) -> None:
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
def test_another_name_for_this_machine_is_refused(host: str, ask: Asking) -> None:
    answer = ask("/api/status", headers={"Host": host})
    assert answer.status == 421
    assert "127.0.0.1 and localhost only" in answer.data.decode()


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "localhost:5602"])
def test_its_own_names_are_taken(host: str, ask: Asking) -> None:
    assert ask("/api/status", headers={"Host": host}).status == 200


def test_other_sites_may_link_to_the_page_and_not_ask_for_figures(ask: Asking) -> None:
    from_elsewhere = {"Sec-Fetch-Site": "cross-site"}
    assert ask("/", headers=from_elsewhere).status == 200
    assert ask(P99, headers=from_elsewhere, **RANGE).status == 403


@pytest.mark.parametrize("method", ["HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE"])
def test_it_only_reads(method: str, ask: Asking) -> None:
    answer = ask("/api/status", method=method)
    assert answer.status == 405
    assert answer.headers["allow"] == "GET"


def test_scripts_are_kept_by_the_browser_and_asked_for_anew(ask: Asking) -> None:
    for path in ("/vendor/plotly.min.js", "/static/js/main.js"):
        first = ask(path)
        assert first.status == 200
        assert "javascript" in first.headers["content-type"]
        again = ask(path, headers={"If-None-Match": first.headers["etag"]})
        assert (again.status, again.data) == (304, b"")


def test_elasticsearch_is_asked_four_questions_at_a_time_and_none_that_nobody_waits_for() -> None:
    """Others wait for their turn at the page's server; whoever leaves meanwhile is not asked about."""
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
            with serving(create_app(Cluster(url=f"http://127.0.0.1:{store.server_port}"))) as url:
                staying = [people.submit(Asking(url), P99, **RANGE) for _ in range(4)]
                wait_until(lambda: len(asked) == 4, what="four questions")
                with pytest.raises(urllib3.exceptions.ReadTimeoutError):
                    urllib3.request("GET", f"{url}{P99}?{urlencode(RANGE)}", timeout=0.5, retries=False)
                answered.set()
                assert [each.result().status for each in staying] == [502] * 4
                assert Asking(url)("/api/dashboards").status == 200
        finally:
            answered.set()
            store.shutdown()
    # Each of the four is tried four times, by the client's own rule for connections that break off.
    assert len(asked) <= 16


def test_what_may_be_asked_is_described_for_programs(ask: Asking) -> None:
    paths = ask("/openapi.json").json()["paths"]
    assert {method for path in paths.values() for method in path} == {"get"}
    assert len(paths) == 5


def test_a_password_in_the_address_of_elasticsearch_is_not_shown(filled: Cluster) -> None:
    cluster = Cluster(url=filled.url.replace("//", "//elastic:hunter2@"), namespace="nobody")
    with serving(create_app(cluster)) as url:
        said = Asking(url)("/api/status").data.decode()
    assert "hunter2" not in said
    assert "inferlog provision" in said
