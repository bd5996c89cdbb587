"""
Stand-in for Kibana on a real socket, with the answers of a real one, for runs without a Kibana.

It proves nothing about a real Kibana: not that its answers are complete, a dashboard is drawn, or a rule fires. The
tests marked ``kibana`` do. See docs/kibana.md.
"""

import base64
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email.message import EmailMessage
from email.parser import BytesParser
from email.policy import HTTP
from functools import partial
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from threading import Lock
from typing import Any
from urllib.parse import urlsplit

import orjson

from tests.support import kibana_objects as kinds
from tests.support.kibana_objects import Objects, Reply, refuse
from tests.support.serving import serve_handler

API_KEY = "a2V5OnNlY3JldA=="
USER, PASSWORD = "elastic", "pass word/@ü"

_KNOWN = {f"ApiKey {API_KEY}", f"Basic {base64.b64encode(f'{USER}:{PASSWORD}'.encode()).decode()}"}


@dataclass
class KibanaStandIn:
    """
    State and behaviour of the stand-in.

    Attributes:
        url: Its address, without credentials.
        objects: All objects by kind and id.
        spaces: Ids of the existing spaces.
        version: Its version; "" for one that nobody can see, of the abilities of 8.12.
        not_ready: Number of further requests answered as before the plugins are ready.
        unavailable: Number of further status requests answered with "unavailable".
        forbidden: Prefixes of forbidden paths.
        writes: Method and path of each write request, in order.
        before_write: Called with each write request before it is executed.
        lets_in: Whether the credentials in the headers are accepted.
        answers: Fixed responses by path.
    """

    url: str = ""
    objects: Objects = field(default_factory=Objects)
    spaces: set[str] = field(default_factory=lambda: {"default"})
    version: str = "8.12.2"
    not_ready: int = 0
    unavailable: int = 0
    forbidden: tuple[str, ...] = ()
    writes: list[str] = field(default_factory=list)
    before_write: Callable[[str], None] = lambda _call: None
    lets_in: Callable[[dict[str, str]], bool] = lambda headers: headers.get("authorization") in _KNOWN
    answers: dict[str, Reply] = field(default_factory=dict)
    lock: Lock = field(default_factory=Lock)

    def answer(self, method: str, target: str, headers: dict[str, str], body: bytes) -> Reply:
        if self.not_ready > 0:
            self.not_ready -= 1
            return Reply(503, b"Kibana server is not ready yet")
        parts = urlsplit(target)
        space, path = _split_path(parts.path)
        if refused := self._refuse_request(method, path, headers):
            return refused
        if method != "GET" and not path.endswith("_export"):
            self.before_write(f"{method} {path}")
            with self.lock:
                self.writes.append(f"{method} {path}")
        if path in self.answers:
            return self.answers[path]
        if path == "/api/status":
            return self._answer_status()
        if path.startswith("/api/spaces/space/"):
            wanted = path.rpartition("/")[2]
            return Reply(200, {"id": wanted}) if wanted in self.spaces else refuse(404, "Not Found")
        with self.lock:
            return self._answer_object(method, path, space, headers, body)

    def _refuse_request(self, method: str, path: str, headers: dict[str, str]) -> Reply | None:
        if not self.lets_in(headers):
            return refuse(401, "[security_exception]: unable to authenticate")
        if self.version and headers.get("kbn-version", self.version) != self.version:
            return refuse(400, "Browser client is out of date", attributes={"expected": self.version, "got": "0"})
        if method != "GET" and "kbn-xsrf" not in headers:
            return refuse(400, "Request must contain a kbn-xsrf header.")
        if headers.get("elastic-api-version") != "2023-10-31":
            return refuse(400, "Please specify a version via Elastic-Api-Version header.")
        if any(path.startswith(each) for each in self.forbidden):
            return refuse(403, f"API [{method} {path}] is unauthorized for user")
        return None

    def _answer_status(self) -> Reply:
        level = "unavailable" if self.unavailable > 0 else "available"
        self.unavailable -= 1
        return Reply(503 if level == "unavailable" else 200, {"status": {"overall": {"level": level}}})

    def _answer_object(self, method: str, path: str, space: str, headers: dict[str, str], body: bytes) -> Reply:
        if path == "/api/saved_objects/_import":
            return self._import(space, headers, body)
        if method != "GET" and headers.get("content-type") != "application/json":
            return refuse(415, "Unsupported Media Type")
        content = orjson.loads(body) if body else None
        if path == "/api/saved_objects/_export":
            return kinds.export(self.objects, space, content)
        major, minor = map(int, (self.version or "8.12").split(".")[:2])
        apis: dict[str, Callable[[Objects, str, str, str, Any], Reply]] = {
            "/api/data_views/data_view": kinds.handle_data_view,
            "/api/actions/connector": kinds.handle_connector,
            "/api/alerting/rule": partial(kinds.handle_rule, version=(major, minor)),
        }
        api, object_id = (path, "") if path in apis else (path.rpartition("/")[0], path.rpartition("/")[2])
        if api not in apis:
            return refuse(404, "Not Found")
        return apis[api](self.objects, method, object_id, space, content)

    def _import(self, space: str, headers: dict[str, str], body: bytes) -> Reply:
        head = f"Content-Type: {headers.get('content-type', '')}\r\n\r\n".encode()
        form = BytesParser(EmailMessage, policy=HTTP).parsebytes(head + body)
        files = [part for part in form.iter_parts() if part.get_param("name", header="content-disposition") == "file"]
        if not form.is_multipart() or len(files) != 1:
            return refuse(400, "[request body.file]: expected value of type [Stream]")
        if not str(files[0].get_filename()).endswith(".ndjson"):
            return refuse(400, "Invalid file extension")
        lines = files[0].get_payload(decode=True)
        assert isinstance(lines, bytes)
        return kinds.import_objects(self.objects, space, lines)


def _split_path(path: str) -> tuple[str, str]:
    if not path.startswith("/s/"):
        return "default", path
    _, _, space, rest = path.split("/", 3)
    return space, f"/{rest}"


@contextmanager
def stand_in(*, certificate: Path | None = None) -> Iterator[KibanaStandIn]:
    """Run a `KibanaStandIn` on a free port of 127.0.0.1; with *certificate* (key and certificate, PEM) over TLS."""
    kibana = KibanaStandIn()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def _respond(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length", 0)))
            headers = {name.lower(): value for name, value in self.headers.items()}
            reply = kibana.answer(self.command, self.path, headers, body)
            content = reply.content if isinstance(reply.content, bytes) else orjson.dumps(reply.content)
            self.send_response(reply.status)
            self.send_header("kbn-name", "stand-in")
            self.send_header("content-length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        do_GET = do_POST = do_PUT = _respond  # noqa: N815 (the base class looks for these names)

        def log_message(self, format: str, *arguments: Any) -> None:  # noqa: A002 (the base class names it)
            pass

    with serve_handler(Handler, certificate=certificate) as kibana.url:
        yield kibana
