"""Waiting for the stack, against a stand-in for Elasticsearch: it needs no Docker engine."""

from http.server import BaseHTTPRequestHandler
from pathlib import Path

from inferlog_ops.core.cluster import Cluster
from tests.docker.stack import Stack
from tests.support.serving import serve_handler


class HealthyStack(Stack):
    """A stack whose health checks have just succeeded."""

    def is_complete(self) -> bool:
        return True

    @property
    def superuser(self) -> Cluster:
        return Cluster(url=self.settings["URL"], user_and_password=("elastic", "password"))


def test_wait_until_complete_returns_when_elasticsearch_has_loaded_users_and_events(tmp_path: Path) -> None:
    # As seen after kill -9: the index of users is loaded first, then the events, up to 11 s after the health check.
    left = [401, 401, 503, 503, 503, 503, 503, 503, 200]

    class Loading(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            content = b'{"count": 1}' if left[0] == 200 else b'{"error": {"type": "loading"}}'
            self.send_response(left.pop(0))
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(content)))
            self.send_header("x-elastic-product", "Elasticsearch")
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, format: str, *arguments: object) -> None:  # noqa: A002 (the base class names it)
            pass

    with serve_handler(Loading) as url:
        HealthyStack(tmp_path, {"URL": url}).wait_until_complete(10)
    assert left == []
