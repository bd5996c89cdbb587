"""Stand-in for an Elasticsearch cluster on a real socket that records objects put into it."""

from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler
from typing import Any

import orjson

from tests.support.serving import serve_handler

ANSWER_KEYS = {"_component_template": "component_template", "_index_template": "index_template"}


class ElasticsearchStandIn:
    """
    Recorded objects and configured responses.

    Attributes:
        url: Its address.
        starting: Number of further requests answered with 503, as by a starting cluster.
        status: Status of every response, if set, such as 401.
        puts: Paths of PUT requests, in order.
        objects: Bodies by path.
    """

    def __init__(self, url: str) -> None:
        self.url = url
        self.starting = 0
        self.status: int | None = None
        self.puts: list[str] = []
        self.objects: dict[str, Any] = {}

    def answer(self, method: str, path: str, body: bytes) -> tuple[int, Any]:
        if self.starting > 0:
            self.starting -= 1
            return 503, {"error": {"type": "master_not_discovered_exception", "reason": "starting"}}
        if self.status is not None:
            return self.status, {"error": {"type": "security_exception", "reason": "missing credentials"}}
        if method == "PUT":
            self.puts.append(path)
            self.objects[path] = orjson.loads(body or b"{}")
            if path.startswith("/_data_stream/") and path.count("/") == 2:
                # The stream copies the template's fields: a newer template does not change them.
                self.objects[f"/{path.rpartition('/')[2]}/_mapping"] = self._find_template(path)["mappings"]
            return 200, {"acknowledged": True}
        found = self._find(path)
        return (404, {"error": {"type": "not_found", "reason": path}}) if found is None else (200, found)

    def _find(self, path: str) -> Any:
        if path == "/_cluster/health":
            return {"status": "yellow"}
        if path == "/_nodes/ingest":
            processors = [{"type": "dot_expander"}, {"type": "set"}]
            return {"nodes": {"n1": {"ingest": {"processors": processors}}}}
        if path.startswith("/_index_template/_simulate_index/"):
            return {"template": self._find_template(path)}
        if path.endswith("/_mapping") and path in self.objects:
            return {f".ds-{path.split('/')[1]}-000001": {"mappings": self.objects[path]}}
        return self._list_objects(path) if path in self.objects else None

    def _find_template(self, path: str) -> Any:
        """Return the template that matches the stream at the end of *path*."""
        pattern = f"{path.rpartition('/')[2].rpartition('-')[0]}-*"
        (template,) = (
            body["template"]
            for path, body in self.objects.items()
            if path.startswith("/_index_template/") and body["index_patterns"] == [pattern]
        )
        return template

    def _list_objects(self, path: str) -> Any:
        _, kind, name = path.split("/", 2)
        if kind not in ANSWER_KEYS:
            return {name.rpartition("/")[2]: self.objects[path]}
        return {f"{ANSWER_KEYS[kind]}s": [{"name": name, ANSWER_KEYS[kind]: self.objects[path]}]}


@contextmanager
def stand_in() -> Iterator[ElasticsearchStandIn]:
    """Run a `ElasticsearchStandIn` on a free port of 127.0.0.1."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def _respond(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length", 0)))
            status, answer = cluster.answer(self.command, self.path.partition("?")[0], body)
            content = orjson.dumps(answer)
            self.send_response(status)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(content)))
            self.send_header("x-elastic-product", "Elasticsearch")
            self.end_headers()
            self.wfile.write(content)

        do_GET = do_PUT = do_POST = _respond  # noqa: N815 (the base class looks for these names)

        def log_message(self, format: str, *arguments: Any) -> None:  # noqa: A002 (the base class names it)
            pass

    with serve_handler(Handler) as url:
        cluster = ElasticsearchStandIn(url)
        yield cluster
