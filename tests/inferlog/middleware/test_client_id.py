"""Client ids, found in the request by each middleware on a real server, and written as a hash."""

import hashlib
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

import fastapi
import flask
import httpx2 as httpx
import pytest
from starlette.applications import Starlette
from starlette.authentication import AuthCredentials, AuthenticationBackend, SimpleUser
from starlette.middleware import Middleware
from starlette.middleware.authentication import AuthenticationMiddleware
from starlette.requests import HTTPConnection, Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

import inferlog
from tests.support.logfiles import Logs
from tests.support.serving import serve_app, serve_wsgi

FRAMEWORKS = ("fastapi", "starlette", "flask")
Serve = Callable[..., AbstractContextManager[str]]


def hash_id(raw: bytes) -> str:
    return hashlib.blake2b(raw, digest_size=16).hexdigest()


def bind_client() -> str:
    inferlog.bind_inference(client_id="bound by the handler")
    return "ok"


def serve_on_fastapi(**options: Any) -> AbstractContextManager[str]:
    app = fastapi.FastAPI()
    app.add_middleware(inferlog.InferenceMiddleware, **options)
    app.add_api_route("/ok", lambda: "ok")
    app.add_api_route("/bound", bind_client)
    return serve_app(app)


def serve_on_starlette(**options: Any) -> AbstractContextManager[str]:
    def ok(request: Request) -> Response:
        return PlainTextResponse(bind_client() if request.url.path == "/bound" else "ok")

    routes = [Route("/ok", ok), Route("/bound", ok)]
    return serve_app(Starlette(routes=routes, middleware=[Middleware(inferlog.InferenceMiddleware, **options)]))


def serve_on_flask(**options: Any) -> AbstractContextManager[str]:
    app = flask.Flask(__name__)
    app.wsgi_app = inferlog.InferenceWSGIMiddleware(app.wsgi_app, **options)  # type: ignore[method-assign]
    app.get("/ok")(lambda: "ok")
    app.get("/bound")(bind_client)
    return serve_wsgi(app)


@pytest.fixture(params=FRAMEWORKS)
def serve(request: pytest.FixtureRequest, logs: Logs) -> Serve:
    """Return a function that serves an application of each framework, with the arguments for its middleware."""
    return {"fastapi": serve_on_fastapi, "starlette": serve_on_starlette, "flask": serve_on_flask}[request.param]


@pytest.mark.parametrize(
    "value",
    [b"acme", b"Bearer not-a-real-token", "Käthe".encode(), b"x" * 30_000],
    ids=["short", "credential", "utf-8", "huge"],
)
def test_configured_header_sets_client_id(serve: Serve, logs: Logs, value: bytes) -> None:
    with serve(client_id="Authorization") as url:
        assert httpx.get(f"{url}/ok", headers=[(b"authorization", value)]).status_code == 200
    assert logs.event["client"] == {"id": hash_id(value)}
    assert all(value not in path.read_bytes() for path in logs.directory.iterdir() if path.is_file())


def test_header_is_read_from_settings(serve: Serve, logs: Logs) -> None:
    inferlog.configure(service_name="scoring", log_dir=logs.directory, client_id_header="X-Client-Id")
    with serve() as url:
        httpx.get(f"{url}/ok", headers={"X-Client-Id": "acme"})
    assert logs.event["client"] == {"id": hash_id(b"acme")}


def test_repeated_header_is_joined(serve: Serve, logs: Logs) -> None:
    with serve(client_id="x-client-id") as url:
        httpx.get(f"{url}/ok", headers=[("X-Client-Id", "acme"), ("X-Client-Id", "other")])
    assert logs.event["client"] == {"id": hash_id(b"acme,other")}


def test_undecodable_bytes_are_valid_client_id(serve: Serve, logs: Logs) -> None:
    inferlog.configure(service_name="scoring", log_dir=logs.directory, client_id_plain=True)
    with serve(client_id="x-client-id") as url:
        assert httpx.get(f"{url}/ok", headers=[(b"x-client-id", b"K\xe4the")]).status_code == 200
    assert logs.event["client"] == {"id": r"K\xe4the"}


def test_callable_finds_it_in_request(serve: Serve, logs: Logs) -> None:
    def who(request: Any) -> str:
        """Read the user from an ASGI scope or a WSGI environ."""
        return str(request["client"][0] if "client" in request else request["REMOTE_ADDR"])

    with serve(client_id=who) as url:
        httpx.get(f"{url}/ok")
    assert logs.event["client"] == {"id": hash_id(b"127.0.0.1")}


def test_user_set_by_inner_middleware_is_found(logs: Logs) -> None:
    """The callback runs at the end, after an inner authentication has stored its user."""

    class Known(AuthenticationBackend):
        async def authenticate(self, conn: HTTPConnection) -> tuple[AuthCredentials, SimpleUser]:
            return AuthCredentials(), SimpleUser(conn.headers["x-name"])

    app = Starlette(
        routes=[Route("/ok", lambda _: PlainTextResponse("ok"))],
        middleware=[
            Middleware(inferlog.InferenceMiddleware, client_id=lambda scope: scope["user"].display_name),
            Middleware(AuthenticationMiddleware, backend=Known()),
        ],
    )
    with serve_app(app) as url:
        httpx.get(f"{url}/ok", headers={"X-Name": "kim"})
    assert logs.event["client"] == {"id": hash_id(b"kim")}


def test_client_id_bound_by_handler_wins_and_is_hashed(serve: Serve, logs: Logs) -> None:
    with serve(client_id="x-client-id") as url:
        httpx.get(f"{url}/bound", headers={"X-Client-Id": "acme"})
    assert logs.event["client"] == {"id": hash_id(b"bound by the handler")}


@pytest.mark.parametrize("nobody", ["x-client-id", lambda _: None, lambda _: ""], ids=["header", "none", "empty"])
def test_client_id_is_absent_when_unset(serve: Serve, logs: Logs, nobody: Any) -> None:
    with serve(client_id=nobody) as url:
        httpx.get(f"{url}/ok", headers={"X-Client-Id": ""})
    assert "client" not in logs.event
    assert not [line for line in logs.read_lines("app") if line["message"] == "inferlog.value_refused"]


def test_failing_client_id_callback_is_logged_without_its_message(serve: Serve, logs: Logs) -> None:
    def broken(request: Any) -> str:
        raise LookupError("no customer has the key hunter22")

    with serve(client_id=broken) as url:
        assert httpx.get(f"{url}/ok").text.strip('"') == "ok"
    assert "client" not in logs.event
    (line,) = [line for line in logs.read_lines("app") if line["message"] == "inferlog.value_refused"]
    assert line["labels"] == {"reasons": "client_id: LookupError"}
    assert line["request_id"] == logs.event["request_id"]


def test_header_with_credential_is_rejected_at_start_where_it_would_be_written_plain(logs: Logs) -> None:
    inferlog.configure(service_name="scoring", log_dir=logs.directory, client_id_plain=True)
    for middleware in (inferlog.InferenceMiddleware, inferlog.InferenceWSGIMiddleware):
        with pytest.raises(inferlog.SettingsError, match="client_id is 'Authorization', a header with a credential"):
            middleware(None, client_id="Authorization")  # type: ignore[arg-type]
