"""Routes and exceptions that Flask hides from WSGI, found by the middleware."""

from typing import Any

import flask
import httpx2 as httpx
import pytest
from werkzeug.middleware.dispatcher import DispatcherMiddleware
from werkzeug.middleware.proxy_fix import ProxyFix
from werkzeug.wrappers import Response

import inferlog
from tests.support.logfiles import Logs
from tests.support.serving import serve_wsgi


def make_flask() -> flask.Flask:
    app = flask.Flask(__name__)

    @app.get("/items/<int:item>")
    def items(item: int) -> Response:
        response = flask.Response("an item")
        response.set_etag("same")
        return response.make_conditional(flask.request)

    @app.get("/crash")
    def crash() -> str:
        raise RuntimeError("boom")

    return app


def read_outcome(event: dict[str, Any]) -> tuple[str, int, str | None]:
    """Return status, code and error type of the event."""
    return event["status"], event["http"]["response"]["status_code"], event.get("error", {}).get("type")


def ask_flask(app: Any, path: str, **headers: str) -> httpx.Response:
    with serve_wsgi(app) as url:
        return httpx.get(url + path, headers=headers)


@pytest.mark.parametrize(
    ("path", "route"),
    [
        ("/items/5", "/items/<int:item>"),
        ("/mounted/items/5", "/mounted/items/<int:item>"),
        ("/mounted/deep/items/5", "/mounted/deep/items/<int:item>"),
        ("/mounted/nothing", None),
        ("/nothing", None),
    ],
)
def test_flask_application_below_dispatcher_has_full_route(logs: Logs, path: str, route: str | None) -> None:
    inner = DispatcherMiddleware(make_flask(), {"/deep": make_flask()})
    outer = DispatcherMiddleware(make_flask(), {"/mounted": ProxyFix(inner), "/mount": make_flask()})
    ask_flask(inferlog.InferenceWSGIMiddleware(ProxyFix(outer)), path)
    assert logs.event["http"].get("route") == route


def test_prefix_that_client_can_send_is_not_in_route(logs: Logs) -> None:
    app = make_flask()
    app.wsgi_app = inferlog.InferenceWSGIMiddleware(ProxyFix(app.wsgi_app, x_prefix=1))  # type: ignore[method-assign]
    ask_flask(app, "/items/5", **{"X-Forwarded-Prefix": "/whatever"})
    assert logs.event["http"]["route"] == "/items/<int:item>"


def test_flask_exception_is_found_below_other_middleware(logs: Logs) -> None:
    app = make_flask()
    app.wsgi_app = inferlog.InferenceWSGIMiddleware(ProxyFix(app.wsgi_app))  # type: ignore[method-assign]
    assert ask_flask(app, "/crash").status_code == 500
    assert read_outcome(logs.event) == ("error", 500, "RuntimeError")
    assert "boom" in logs.event["error"]["stack_trace"]


def test_flask_exception_that_is_passed_on_still_has_its_route(logs: Logs) -> None:
    app = make_flask()
    app.config["PROPAGATE_EXCEPTIONS"] = True
    app.wsgi_app = inferlog.InferenceWSGIMiddleware(app.wsgi_app)  # type: ignore[method-assign]
    with pytest.raises(RuntimeError, match="boom"):
        app.test_client().get("/crash")
    assert read_outcome(logs.event) == ("error", 500, "RuntimeError")
    assert logs.event["http"]["route"] == "/crash"


def test_flask_is_unchanged_without_middleware(logs: Logs) -> None:
    app = make_flask()
    inferlog.InferenceWSGIMiddleware(make_flask().wsgi_app)
    assert ask_flask(app, "/crash").status_code == 500
    assert logs.events == []


def test_flask_response_that_is_not_modified_is_success(logs: Logs) -> None:
    app = make_flask()
    app.wsgi_app = inferlog.InferenceWSGIMiddleware(app.wsgi_app)  # type: ignore[method-assign]
    assert ask_flask(app, "/items/5", **{"If-None-Match": '"same"'}).status_code == 304
    assert read_outcome(logs.event) == ("success", 304, None)
