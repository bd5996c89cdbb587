"""Every log line that is written for a request carries its ids, from wherever in the service it comes."""

import contextvars
import logging
import threading
from collections.abc import AsyncIterator, Iterator
from typing import Annotated, Any

import fastapi
import flask
import httpx2 as httpx
from starlette.responses import PlainTextResponse, Response, StreamingResponse

import inferlog
from tests.support.logfiles import Logs
from tests.support.polling import wait_until
from tests.support.serving import serving, serving_wsgi


def say(where: str) -> None:
    """Write a line by each of the two ways."""
    inferlog.get_logger().info(where)
    logging.getLogger("a.library").warning(where)


def on_fastapi() -> fastapi.FastAPI:
    app = fastapi.FastAPI()
    app.add_middleware(inferlog.InferenceMiddleware)

    async def dependency() -> AsyncIterator[None]:
        say("dependency")
        yield
        say("dependency at its end")

    def dependency_in_a_thread() -> None:
        say("dependency in a thread")

    @app.exception_handler(LookupError)
    async def exception_handler(request: fastapi.Request, error: Exception) -> Response:
        say("exception handler")
        return PlainTextResponse("", status_code=503)

    @app.get("/handler", dependencies=[fastapi.Depends(dependency), fastapi.Depends(dependency_in_a_thread)])
    async def handler(tasks: fastapi.BackgroundTasks) -> str:
        say("handler")
        tasks.add_task(say, "background task")
        return ""

    @app.get("/pool")
    def pool() -> str:
        say("handler in a thread")
        return ""

    @app.get("/raises")
    async def raises() -> None:
        raise LookupError("no such model")

    @app.get("/stream")
    async def stream(_: Annotated[None, fastapi.Depends(dependency)]) -> StreamingResponse:
        async def parts() -> AsyncIterator[bytes]:
            say("stream")
            yield b"a"

        return StreamingResponse(parts())

    return app


FASTAPI_LINES = {
    "/handler": ["dependency", "dependency in a thread", "handler", "background task", "dependency at its end"],
    "/pool": ["handler in a thread"],
    "/raises": ["exception handler"],
    "/stream": ["dependency", "stream", "dependency at its end"],
}


def on_flask() -> flask.Flask:
    app = flask.Flask(__name__)
    app.wsgi_app = inferlog.InferenceWSGIMiddleware(app.wsgi_app)  # type: ignore[method-assign]
    app.before_request(lambda: say("before request"))

    @app.errorhandler(LookupError)
    def error_handler(error: LookupError) -> tuple[str, int]:
        say("error handler")
        return "", 503

    @app.teardown_request
    def teardown(error: BaseException | None) -> None:
        say("teardown")

    @app.get("/handler")
    def handler() -> str:
        thread = threading.Thread(target=contextvars.copy_context().run, args=(say, "thread in its context"))
        thread.start()
        thread.join()
        return ""

    @app.get("/raises")
    def raises() -> None:
        raise LookupError("no such model")

    @app.get("/stream")
    def stream() -> flask.Response:
        def parts() -> Iterator[bytes]:
            say("stream")
            yield b"a"

        return flask.Response(parts())

    return app


FLASK_LINES = {
    "/handler": ["before request", "thread in its context", "teardown"],
    "/raises": ["before request", "error handler", "teardown"],
    "/stream": ["before request", "teardown", "stream"],
}


def test_fastapi(logs: Logs) -> None:
    with serving(on_fastapi()) as url:
        check(logs, url, FASTAPI_LINES)


def test_flask(logs: Logs) -> None:
    with serving_wsgi(on_flask()) as url:
        check(logs, url, FLASK_LINES)


def check(logs: Logs, url: str, expected: dict[str, list[str]]) -> None:
    for path, places in expected.items():
        request_id = httpx.get(url + path).headers["X-Request-ID"]

        def lines(request_id: str = request_id) -> list[dict[str, Any]]:
            return [line for line in logs.lines("app") if line.get("request_id") == request_id]

        wait_until(lambda lines=lines, places=places: len(lines()) >= 2 * len(places), what=f"the lines of {path}")
        for logger in ("app", "a.library"):
            said = [line["message"] for line in lines() if line["log"]["logger"] == logger]
            assert sorted(said) == sorted(places)
    places = {place for places in expected.values() for place in places}
    assert not [line for line in logs.lines("app") if line["message"] in places and "request_id" not in line]
