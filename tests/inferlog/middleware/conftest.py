"""Three services, on FastAPI, Starlette and Flask, with requests that end in every possible way."""

import asyncio
import contextvars
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Annotated, Any

import fastapi
import flask
import pytest
from pydantic import BaseModel
from starlette.applications import Starlette
from starlette.background import BackgroundTask
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response, StreamingResponse
from starlette.routing import Mount, Route, WebSocketRoute
from starlette.websockets import WebSocket

import inferlog
from tests.support.logfiles import Logs
from tests.support.serving import serve_app, serve_wsgi

_PATIENCE_SECONDS = 20.0


@dataclass(frozen=True)
class Service:
    """A running service, and the events that synchronise test and handlers."""

    framework: str
    url: str = ""
    reached: threading.Event = field(default_factory=threading.Event)
    left: threading.Event = field(default_factory=threading.Event)
    written: threading.Event = field(default_factory=threading.Event)


@pytest.fixture
def service(request: pytest.FixtureRequest, logs: Logs) -> Iterator[Service]:
    """Return the running service of the requested framework."""
    build, serve = _FRAMEWORKS[request.param]
    service = Service(request.param)
    with serve(build(service)) as url:
        object.__setattr__(service, "url", url)
        yield service
        service.left.set()
        service.written.set()


def _build_asgi_endpoints(service: Service) -> dict[str, Callable[[Request], Awaitable[Response]]]:  # noqa: C901 (as for Flask)
    """Return the handlers shared by FastAPI and Starlette, by path."""

    async def crash(request: Request) -> Response:
        raise RuntimeError("password=hunter22 is wrong")

    async def no_model(request: Request) -> Response:
        raise LookupError("no such model")

    async def broken_stream(request: Request) -> Response:
        async def parts() -> AsyncIterator[bytes]:
            yield b"a"
            raise ValueError("broke in the middle")

        return StreamingResponse(parts())

    async def stream(request: Request) -> Response:
        async def parts() -> AsyncIterator[bytes]:
            yield b"a"
            inferlog.bind_inference(model_version="v1")
            await asyncio.sleep(0.05)
            yield b"b"

        return StreamingResponse(parts())

    async def endless_stream(request: Request) -> Response:
        async def parts() -> AsyncIterator[bytes]:
            while True:
                yield b"x" * 1000
                await asyncio.sleep(0.001)

        return StreamingResponse(parts())

    async def upload(request: Request) -> Response:
        service.reached.set()
        return PlainTextResponse(await request.body())

    async def late(request: Request) -> Response:
        service.reached.set()
        await asyncio.to_thread(service.left.wait, _PATIENCE_SECONDS)
        return PlainTextResponse("nobody is there")

    async def watching(request: Request) -> Response:
        service.reached.set()
        while not await request.is_disconnected():  # noqa: ASYNC110 (this is how one looks)
            await asyncio.sleep(0.005)
        return PlainTextResponse("nobody is there")

    async def deadline(request: Request) -> Response:
        async with asyncio.timeout(0.02):
            await asyncio.sleep(_PATIENCE_SECONDS)
        return PlainTextResponse("unreachable")

    async def cancelled(request: Request) -> Response:
        await asyncio.sleep(_PATIENCE_SECONDS)
        return PlainTextResponse("unreachable")

    async def background(request: Request) -> Response:
        async def after() -> None:
            assert await asyncio.to_thread(service.written.wait, _PATIENCE_SECONDS)
            raise RuntimeError("in the background, not the request's")

        return PlainTextResponse("", background=BackgroundTask(after))

    endpoints = (
        crash,
        no_model,
        broken_stream,
        stream,
        endless_stream,
        late,
        watching,
        deadline,
        cancelled,
        background,
    )
    routes: dict[str, Callable[[Request], Awaitable[Response]]] = {
        f"/{endpoint.__name__}": endpoint for endpoint in endpoints
    }
    return routes | {"/upload": upload}


async def _answer_unavailable(request: Request, error: Exception) -> Response:
    return PlainTextResponse("later", status_code=503)


async def _answer_item(request: Request) -> Response:
    inferlog.bind_inference(model_version="v1")
    return PlainTextResponse(request.path_params["item"])


def _answer_in_thread(request: Request) -> Response:
    inferlog.bind_inference(model_version="v1")
    return PlainTextResponse(threading.current_thread().name)


async def _accept_socket(socket: WebSocket) -> None:
    await socket.accept()
    await socket.close()


def _cut_off(app: Any) -> Any:
    """Wrap *app* to cancel its tasks from outside, like a server that shuts down."""

    async def outer(scope: Any, receive: Any, send: Any) -> None:
        if scope.get("path") != "/cancelled":
            await app(scope, receive, send)
            return
        with suppress(TimeoutError):
            async with asyncio.timeout(0.02):
                await app(scope, receive, send)

    return outer


class Question(BaseModel):
    text: str


def _build_fastapi(service: Service) -> Any:
    app = fastapi.FastAPI(exception_handlers={LookupError: _answer_unavailable})
    app.add_middleware(inferlog.InferenceMiddleware)
    for path, endpoint in _build_asgi_endpoints(service).items():
        app.add_api_route(path, endpoint, methods=["GET", "POST"], response_model=None)

    async def model() -> AsyncIterator[str]:
        inferlog.bind_inference(model_version="v1")
        yield "a model"

    @app.get("/answer/{item}")
    async def answer(item: str) -> dict[str, str]:
        inferlog.bind_inference(model_version="v1")
        return {"answer": item}

    @app.post("/validated")
    async def validated(question: Question) -> str:
        return question.text

    @app.get("/in_thread")
    def in_thread() -> str:
        inferlog.bind_inference(model_version="v1")
        return threading.current_thread().name

    @app.get("/dependent")
    async def dependent(model: Annotated[str, fastapi.Depends(model)]) -> str:
        return model

    tenant = fastapi.FastAPI()
    tenant.add_api_route("/items/{item}", _answer_item, response_model=None)
    app.mount("/tenant/{tenant}", tenant)
    app.add_api_websocket_route("/socket", _accept_socket)
    return _cut_off(app)


def _build_starlette(service: Service) -> Any:
    async def validated(request: Request) -> Response:
        raise HTTPException(422, "no text")

    routes = [
        *(Route(path, endpoint, methods=["GET", "POST"]) for path, endpoint in _build_asgi_endpoints(service).items()),
        Route("/answer/{item}", _answer_item),
        Route("/validated", validated, methods=["POST"]),
        Route("/in_thread", _answer_in_thread),
        Mount("/tenant/{tenant}", routes=[Route("/items/{item}", _answer_item)]),
        WebSocketRoute("/socket", _accept_socket),
    ]
    app = Starlette(routes=routes, exception_handlers={LookupError: _answer_unavailable})
    app.add_middleware(inferlog.InferenceMiddleware)
    return _cut_off(app)


def _build_flask(service: Service) -> Any:  # noqa: C901 (one small route a way to end)
    app = flask.Flask(__name__)
    app.wsgi_app = inferlog.InferenceWSGIMiddleware(app.wsgi_app)  # type: ignore[method-assign]

    @app.get("/answer/<item>")
    def answer(item: str) -> dict[str, str]:
        inferlog.bind_inference(model_version="v1")
        return {"answer": item}

    @app.post("/validated")
    def validated() -> str:
        if "text" not in flask.request.get_json():
            flask.abort(422)
        return "unreachable"

    @app.get("/crash")
    def crash() -> str:
        raise RuntimeError("password=hunter22 is wrong")

    @app.get("/no_model")
    def no_model() -> str:
        raise LookupError("no such model")

    @app.errorhandler(LookupError)
    def unavailable(error: LookupError) -> tuple[str, int]:
        return "later", 503

    @app.get("/broken_stream")
    def broken_stream() -> flask.Response:
        def parts() -> Iterator[bytes]:
            yield b"a"
            raise ValueError("broke in the middle")

        return flask.Response(parts())

    @app.get("/stream")
    def stream() -> flask.Response:
        def parts() -> Iterator[bytes]:
            yield b"a"
            inferlog.bind_inference(model_version="v1")
            threading.Event().wait(0.05)
            yield flask.request.method[:0].encode() + b"b"

        return flask.Response(flask.stream_with_context(parts()))

    @app.get("/endless_stream")
    def endless_stream() -> flask.Response:
        def parts() -> Iterator[bytes]:
            while True:
                yield b"x" * 1000

        return flask.Response(parts())

    @app.post("/upload")
    def upload() -> bytes:
        service.reached.set()
        return flask.request.get_data()

    @app.get("/late")
    def late() -> str:
        service.reached.set()
        service.left.wait(_PATIENCE_SECONDS)
        return "nobody is there"

    @app.get("/deadline")
    def deadline() -> str:
        return Future[str]().result(timeout=0.02)

    @app.get("/background")
    def background() -> flask.Response:
        def after() -> None:
            assert service.written.wait(_PATIENCE_SECONDS)
            raise RuntimeError("in the background, not the request's")

        response = flask.Response("")
        response.call_on_close(after)
        return response

    @app.get("/in_thread")
    def in_thread() -> str:
        with ThreadPoolExecutor() as pool:
            pool.submit(contextvars.copy_context().run, inferlog.bind_inference, model_version="v1").result()
        return "pool"

    tenant = flask.Blueprint("tenant", __name__, url_prefix="/tenant/<tenant>")

    @tenant.get("/items/<item>")
    def item(tenant: str, item: str) -> str:
        inferlog.bind_inference(model_version="v1")
        return item

    app.register_blueprint(tenant)
    return app


_FRAMEWORKS: dict[str, tuple[Callable[[Service], Any], Any]] = {
    "fastapi": (_build_fastapi, serve_app),
    "starlette": (_build_starlette, serve_app),
    "flask": (_build_flask, serve_wsgi),
}
