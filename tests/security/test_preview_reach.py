"""Reach of the preview server: only our streams, only queries of our files, only for its own page."""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

import pytest
import urllib3

from inferlog_ops.core.cluster import Cluster
from inferlog_ops.preview.app import create_app
from inferlog_ops.preview.controls import list_controls
from inferlog_ops.query.dashboards import files
from inferlog_ops.query.dashboards.panels import list_panels
from inferlog_ops.query.library import fill_namespace, load_all, restrict_columns
from tests.security.raw_http import dial
from tests.support.serving import serve_app, serve_handler

NAMESPACE = "ours"
RANGE: dict[str, Any] = {"from": "2026-11-23T06:00:00Z", "to": "2026-11-23T07:00:00Z"}
OUR_STREAM = re.compile(
    r"logs-inference\.(events|app|health|content)-ours|logs-inference\.\*-ours::failures|inferlog-(alerts|summaries)-ours"
)
QUERIES = load_all()
OUR_QUESTIONS = {fill_namespace(query, NAMESPACE) for query in QUERIES.values()} | {
    fill_namespace(restrict_columns(QUERIES[asked.name], asked.columns), NAMESPACE)
    for dashboard in files.load_all().values()
    for panel in list_panels(dashboard.body)
    for asked in panel.list_queries()
}


@dataclass
class RecordingStore:
    """Empty Elasticsearch stand-in that records its requests."""

    url: str = ""
    asked: list[tuple[str, str, Any]] = field(default_factory=list)


@pytest.fixture(scope="module")
def store() -> Iterator[RecordingStore]:
    store = RecordingStore()

    class Handler(BaseHTTPRequestHandler):
        def answer(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length") or 0))
            asked = json.loads(body or b"null")
            store.asked.append((self.command, self.path, asked))
            hits: dict[str, Any] = {
                "hits": {"hits": []},
                "aggregations": {"values": {"buckets": [], "sum_other_doc_count": 0}},
            }
            hits["aggregations"]["own"] = {"buckets": [], "sum_other_doc_count": 0}
            for missing in ("lacking", "none"):
                hits["aggregations"][missing] = {"doc_count": 0, "slices": {"buckets": []}}
            hits["aggregations"]["of_minutes"] = {"values": {"buckets": []}, "requests": {"value": 0.0}}
            hits["has_all_requested"] = True
            if self.path.endswith("/_field_caps"):
                hits["fields"] = dict.fromkeys(asked["fields"])
            said = json.dumps({"columns": [], "values": []} if self.path.startswith("/_query") else hits).encode()
            self.send_response(200)
            self.send_header("X-Elastic-Product", "Elasticsearch")
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(said)))
            self.end_headers()
            self.wfile.write(said)

        do_GET = do_POST = do_PUT = do_DELETE = do_HEAD = answer  # noqa: N815 (as the standard library calls them)

        def log_message(self, *_: Any) -> None: ...

    with serve_handler(Handler) as store.url:
        yield store


@pytest.fixture
def page(store: RecordingStore) -> Iterator[str]:
    store.asked.clear()
    with serve_app(create_app(Cluster(url=store.url, namespace=NAMESPACE))) as url:
        yield url


def get(url: str, path: str, *, headers: dict[str, str] | None = None, **parameters: Any) -> urllib3.BaseHTTPResponse:
    query = f"?{urlencode(parameters, doseq=True)}" if parameters else ""
    with urllib3.PoolManager(retries=False) as pool:
        return pool.request("GET", f"{url}{path}{query}", headers=headers)


def check(store: RecordingStore) -> None:
    """Check that all requests only read our streams."""
    for method, path, body in store.asked:
        assert method == "POST"
        address = path.partition("?")[0]
        if address == "/_query":
            assert body["query"] in OUR_QUESTIONS
            assert {name for parameter in body["params"] for name in parameter} == {"_tstart", "_tend"}
        elif address == "/_security/user/_has_privileges":
            assert body == {"index": [{"names": ["logs-inference.*-ours"], "privileges": ["read_failure_store"]}]}
        else:
            index, _, action = address.removeprefix("/").partition("/")
            assert action in {"_search", "_field_caps"}
            assert OUR_STREAM.fullmatch(index)
            assert '"script"' not in json.dumps(body)


def test_library_queries_read_only_our_streams() -> None:
    for text in OUR_QUESTIONS:
        code = "\n".join(line for line in text.splitlines() if not line.strip().startswith("//"))
        sources = [
            name.strip()
            for found in re.findall(r"FROM ([^|\n]+?)(?: METADATA|\s*\n|\|)", code)
            for name in found.split(",")
        ]
        assert sources
        assert all(OUR_STREAM.fullmatch(name) for name in sources), sources
        assert not re.search(r"\b(ENRICH|LOOKUP)\b", code)


def test_every_panel_and_control_queries_only_our_streams(page: str, store: RecordingStore) -> None:
    for dashboard in files.load_all().values():
        for panel in list_panels(dashboard.body):
            if panel.queries:
                assert get(page, f"/api/dashboards/{dashboard.id}/panels/{panel.id}", **RANGE).status == 200
        for control in list_controls(dashboard.body):
            get(page, f"/api/dashboards/{dashboard.id}/controls/{control.id}/values", **RANGE, search="a")
    get(page, "/api/status")
    assert len(store.asked) > 100
    check(store)


HOSTILE = [
    *("*", "_all", ".security", ".kibana*", "logs-inference.events-other", "../_search", "..%2f_search", "a/_doc/1"),
    *("x | ROW a=1", '" OR true //', "?_tend", "';DROP", "${7*7}", "<script>", "\x00", "\n", "…", "x" * 240),
]


@pytest.mark.parametrize("hostile", HOSTILE)
def test_no_parameter_leads_elsewhere(page: str, store: RecordingStore, hostile: str) -> None:
    name = quote(hostile, safe="")
    panel, values = (
        f"/api/dashboards/inferlog-overview/{each}" for each in ("panels/p99", "controls/model-version/values")
    )
    answers = [
        get(page, f"/api/dashboards/{name}"),
        get(page, f"/api/dashboards/{name}/panels/p99", **RANGE),
        get(page, f"/api/dashboards/inferlog-overview/panels/{name}", **RANGE),
        get(page, f"/api/dashboards/inferlog-overview/controls/{name}/values", **RANGE),
        get(page, panel, **RANGE, filter=f"{hostile}:v1"),
        get(page, panel, **{**RANGE, "from": hostile}),
        get(page, panel, **RANGE, index=hostile),
        get(page, panel, **RANGE, namespace=hostile),
        get(page, values, **RANGE, filter=f"_index:{hostile}"),
        get(page, values, **{**RANGE, "to": hostile}),
    ]
    assert {answer.status for answer in answers} <= {404, 422}
    assert store.asked == []
    for shown in (panel, "/api/dashboards/inferlog-overview/panels/status-codes"):
        assert get(page, shown, **RANGE, filter=f"model_version:{hostile}").status == 200
    assert get(page, values, **RANGE, search=hostile[:200]).status == 200
    check(store)
    chosen = {"bool": {"filter": [{"terms": {"model_version": [hostile]}}]}}
    (of_query,) = (body["filter"] for _, path, body in store.asked if path.startswith("/_query"))
    (of_panel,) = (body["query"] for _, _, body in store.asked if "own" in body.get("aggs", {}))
    assert of_query == {"bool": {"filter": [chosen]}}
    assert of_panel["bool"]["filter"][1]["bool"]["filter"] == [chosen]


def test_dashboard_with_its_own_query_is_rejected(
    page: str, store: RecordingStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    grid = {"x": 0, "y": 0, "w": 1, "h": 1}
    sources = {
        "esql": {"type": "esql", "query": "FROM .security*"},
        "path": {"type": "esql", "query": "queries/../../secret.esql"},
        "view": {"type": "data_view_reference", "ref_id": "*"},
    }
    body = {
        "title": "Planted",
        "pinned_panels": [
            {"type": "options_list_control", "id": view, "config": {"data_view_id": view, "field_name": "user"}}
            for view in ("*", ".security", "inferlog-*", "inferlog-events,x", "inferlog-secrets")
        ],
        "panels": [
            {"type": "vis", "id": name, "grid": grid, "config": {"type": "metric", "data_source": source}}
            for name, source in sources.items()
        ],
    }
    (tmp_path / "inferlog-planted.json").write_text(json.dumps(body))
    monkeypatch.setattr(files, "find_asset_dir", lambda _: tmp_path)
    for name in sources:
        assert get(page, f"/api/dashboards/inferlog-planted/panels/{name}", **RANGE).status in {422, 502}
    for control in ("inferlog-secrets", ".security"):
        assert get(page, f"/api/dashboards/inferlog-planted/controls/{control}/values", **RANGE).status == 422
    assert store.asked == []


@pytest.mark.parametrize("site", ["cross-site", "same-site", "odd"])
def test_figures_are_not_given_to_other_pages_of_this_machine(page: str, store: RecordingStore, site: str) -> None:
    assert get(page, "/api/status", headers={"Sec-Fetch-Site": site}).status == 403
    assert store.asked == []
    for own in ("same-origin", "none"):
        assert get(page, "/api/status", headers={"Sec-Fetch-Site": own}).status == 200


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1:80@attacker.example",
        "localhost:x",
        "127.0.0.1:",
        "localhost:1:2",
        "LOCALHOST.attacker",
        "[::1]",
        "::1",
    ],
)
def test_host_with_our_name_as_prefix_is_rejected(page: str, store: RecordingStore, host: str) -> None:
    assert get(page, "/api/status", headers={"Host": host}).status == 421
    assert store.asked == []


def test_responses_are_not_readable_by_another_origin(page: str) -> None:
    answer = get(page, "/api/status", headers={"Origin": "https://attacker.example"})
    assert not [name for name in answer.headers if name.lower().startswith("access-control-")]


@pytest.mark.parametrize(
    "raw",
    [
        b"GET http://attacker.example/api/status HTTP/1.1\r\nhost: attacker.example\r\n\r\n",
        b"GET /api/status HTTP/1.0\r\n\r\n",
        b"GET /api/status HTTP/1.1\r\nhost: 127.0.0.1\r\nhost: attacker.example\r\n\r\n",
        b"GET /api/status HTTP/1.1\r\nhost: attacker.example\r\nx-forwarded-host: 127.0.0.1\r\n\r\n",
        b"POST /api/status HTTP/1.1\r\nhost: 127.0.0.1\r\nx-http-method-override: GET\r\ncontent-length: 0\r\n\r\n",
        b"\r\n".join(
            (
                b"GET /api/status HTTP/1.1\r\nhost: 127.0.0.1\r\nupgrade: websocket\r\nconnection: upgrade",
                b"sec-websocket-version: 13\r\nsec-websocket-key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n",
            )
        ),
    ],
    ids=["absolute address", "no host", "two hosts", "forwarded host", "method override", "websocket"],
)
def test_request_that_no_browser_sends_is_rejected(page: str, store: RecordingStore, raw: bytes) -> None:
    with dial(page) as connection:
        connection.sendall(raw)
        assert connection.recv(65_536).split(b" ")[1] in {b"400", b"403", b"405", b"421"}
    assert store.asked == []
