"""Route templates: the matched route, never the client's path."""

import asyncio
import warnings
from collections.abc import Callable
from typing import Any

import fastapi
import pytest
from fastapi.middleware import Middleware
from starlette.applications import Starlette
from starlette.middleware.base import BaseHTTPMiddleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Host, Mount, Route, Router
from starlette.staticfiles import StaticFiles

import inferlog
from tests.support.logfiles import Logs


async def answer(request: Request) -> Response:
    return PlainTextResponse("ok")


def ask(app: Any, path: str, *, root_path: str = "", method: str = "GET", host: bytes = b"x") -> int:
    """Send one request to *app*, like a server deployed below *root_path*; return the status code."""
    codes = []
    body = [{"type": "http.request", "body": b""}]

    async def receive() -> dict[str, Any]:
        return body.pop() if body else await asyncio.Future()  # the client stays

    async def send(message: Any) -> None:
        codes.append(message.get("status"))

    scope = {
        "type": "http",
        "method": method,
        "path": root_path + path,
        "root_path": root_path,
        "query_string": b"",
        "headers": [(b"host", host)],
        "http_version": "1.1",
    }
    asyncio.run(app(scope, receive, send))
    return int(codes[0])


def read_route(logs: Logs) -> str | None:
    route: str | None = logs.events[-1]["http"].get("route")
    return route


def build_starlette() -> Any:
    app = Starlette(
        routes=[
            Route("/items/{item:int}", answer),
            Route("/same", answer),
            Mount(
                "/tenant/{id}", routes=[Route("/items/{item}", answer), Mount("/deep/{level:int}", app=build_plain())]
            ),
            Mount("/plain", app=build_plain()),
            Mount("/v1", app=build_plain()),
            Mount("/v2", app=build_plain()),
            Mount("/files", app=StaticFiles(directory=".")),
            Mount("/wrapped/{id}", app=GZipMiddleware(build_plain())),
            Host("api.example.org", app=Router([Mount("/hosted/{id}", app=build_plain())])),
        ]
    )
    app.add_middleware(inferlog.InferenceMiddleware)
    return app


def build_plain() -> Starlette:
    return Starlette(routes=[Route("/items/{item}", answer), Route("/other/{item}", answer)])


def build_fastapi() -> Any:
    router = fastapi.APIRouter(prefix="/router")
    router.add_api_route("/items/{item}", answer, response_model=None)
    router.mount("/mounted/{id}", build_plain())  # FastAPI does not put the router's own prefix before a mount
    outer = fastapi.APIRouter()
    outer.include_router(router, prefix="/outer")
    sub = fastapi.FastAPI()
    sub.include_router(router, prefix="/below")
    sub.add_route("/undecorated/{item}", answer)
    app = fastapi.FastAPI()
    app.add_middleware(inferlog.InferenceMiddleware)
    app.include_router(router)
    app.include_router(router, prefix="/twice")
    app.include_router(outer)
    app.add_route("/undecorated/{item}", answer)
    app.add_api_route("/a/{item}", answer, response_model=None)
    app.add_api_route("/b/{item}", answer, response_model=None)
    app.mount("/sub/{id}", sub)
    app.mount("/starlette/{id}", build_plain())
    return app


CASES = [
    (build_starlette, "/items/5", "/items/{item}"),
    (build_starlette, "/same", "/same"),
    (build_starlette, "/tenant/4711/items/5", "/tenant/{id}/items/{item}"),
    (build_starlette, "/tenant/4711/deep/7/items/5", "/tenant/{id}/deep/{level}/items/{item}"),
    (build_starlette, "/tenant/tenant/items/items", "/tenant/{id}/items/{item}"),
    (build_starlette, "/plain/items/5", "/plain/items/{item}"),
    (build_starlette, "/v2/items/5", "/v2/items/{item}"),
    (build_starlette, "/v2/other/5", "/v2/other/{item}"),
    (build_starlette, "/files/pyproject.toml", "/files/{path}"),
    (build_starlette, "/wrapped/4711/items/5", "/wrapped/{id}/items/{item}"),
    (build_fastapi, "/router/items/5", "/router/items/{item}"),
    (build_fastapi, "/twice/router/items/5", "/twice/router/items/{item}"),
    (build_fastapi, "/outer/router/items/5", "/outer/router/items/{item}"),
    (build_fastapi, "/twice/mounted/4711/items/5", "/twice/mounted/{id}/items/{item}"),
    (build_fastapi, "/undecorated/5", "/undecorated/{item}"),
    (build_fastapi, "/a/5", "/a/{item}"),
    (build_fastapi, "/b/5", "/b/{item}"),
    (build_fastapi, "/sub/4711/below/router/items/5", "/sub/{id}/below/router/items/{item}"),
    (build_fastapi, "/sub/4711/below/mounted/1/items/5", "/sub/{id}/below/mounted/{id}/items/{item}"),
    (build_fastapi, "/sub/4711/undecorated/5", "/sub/{id}/undecorated/{item}"),
    (build_fastapi, "/starlette/4711/items/5", "/starlette/{id}/items/{item}"),
]


@pytest.mark.parametrize(("build", "path", "template"), CASES)
@pytest.mark.parametrize("root_path", ["", "/deployed"])
@pytest.mark.parametrize("around", [False, True])
def test_template_is_that_of_matched_route(
    logs: Logs, build: Callable[[], Any], path: str, template: str, root_path: str, around: bool
) -> None:
    app = inferlog.InferenceMiddleware(build()) if around else build()
    for _ in range(2):  # a mount is known at the second request
        assert ask(app, path, root_path=root_path) == 200
        assert read_route(logs) == template


@pytest.mark.parametrize(
    ("build", "path"),
    [
        (build_starlette, "/nothing/4711"),
        (build_starlette, "/tenant/4711/nothing"),
        (build_starlette, "/tenant/4711/deep/7/nothing"),
        (build_starlette, "/tenant/4711/deep/seven/items/5"),
        (build_starlette, "/plain/nothing"),
        (build_fastapi, "/nothing/4711"),
        (build_fastapi, "/router/nothing"),
        (build_fastapi, "/sub/4711/nothing"),
        (build_fastapi, "/starlette/4711/nothing"),
    ],
)
def test_template_is_none_without_match(logs: Logs, build: Callable[[], Any], path: str) -> None:
    assert ask(build(), path) == 404
    assert read_route(logs) is None


@pytest.mark.parametrize(("build", "path"), [(build_starlette, "/items/5"), (build_fastapi, "/twice/router/items/5")])
def test_wrong_method_has_route_template(logs: Logs, build: Callable[[], Any], path: str) -> None:
    assert ask(build(), path, method="DELETE") == 405
    assert read_route(logs) == path.replace("5", "{item}")


def test_template_is_found_in_application_of_host(logs: Logs) -> None:
    assert ask(build_starlette(), "/hosted/4711/items/5", host=b"api.example.org") == 200
    assert read_route(logs) == "/hosted/{id}/items/{item}"


@pytest.mark.filterwarnings("ignore:The `root_path` parameter is deprecated")
def test_root_path_that_application_sets_itself_is_not_in_template(logs: Logs) -> None:
    app = fastapi.FastAPI(root_path="/behind/a/proxy")
    app.mount("/tenant/{id}", build_plain())
    app.add_api_route("/items/{item}", answer, response_model=None)
    for path, template in [("/items/5", "/items/{item}"), ("/tenant/4711/items/5", "/tenant/{id}/items/{item}")]:
        assert ask(inferlog.InferenceMiddleware(app), "/behind/a/proxy" + path) == 200
        assert read_route(logs) == template


def test_mounted_application_with_middleware_has_its_part_of_template(logs: Logs) -> None:
    inner = Starlette(
        routes=[Route("/items/{item}", answer), Mount("/deep/{level}", app=build_plain())],
        middleware=[Middleware(inferlog.InferenceMiddleware)],
    )
    app = Starlette(routes=[Mount("/tenant/{id}", app=inner)])
    ask(app, "/tenant/4711/items/5", root_path="/deployed")
    ask(app, "/tenant/4711/deep/7/items/5", root_path="/deployed")
    assert [event["http"]["route"] for event in logs.events] == ["/items/{item}", "/deep/{level}/items/{item}"]


def test_template_is_found_below_other_middleware(logs: Logs) -> None:
    async def dispatch(request: Request, call_next: Any) -> Response:
        await request.body()
        response: Response = await call_next(request)
        return response

    app = Starlette(routes=[Mount("/tenant/{id}", app=build_plain())])
    app.add_middleware(BaseHTTPMiddleware, dispatch=dispatch)
    app.add_middleware(GZipMiddleware)
    app.add_middleware(inferlog.InferenceMiddleware)
    assert ask(app, "/tenant/4711/items/5") == 200
    assert read_route(logs) == "/tenant/{id}/items/{item}"


def test_mounted_wsgi_application_is_reported_by_its_mount(logs: Logs) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # deprecated in Starlette, and still what many have
        from starlette.middleware.wsgi import WSGIMiddleware  # noqa: PLC0415 (it warns when it is imported)

    def wsgi_app(environ: Any, start_response: Any) -> list[bytes]:
        inferlog.bind_inference(model_version="v1")
        start_response("200 OK", [])
        return [b"ok"]

    app = Starlette(routes=[Mount("/wsgi", app=WSGIMiddleware(inferlog.InferenceWSGIMiddleware(wsgi_app)))])
    app.add_middleware(inferlog.InferenceMiddleware)
    assert ask(app, "/wsgi/whatever/4711") == 200
    (event,) = logs.events
    assert event["http"]["route"] == "/wsgi/{path}"
    assert event["model_version"] == "v1"
