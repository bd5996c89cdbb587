"""Every log line written during a request has its ids, from any place in the service."""

import contextvars
import logging
import threading
from collections.abc import AsyncIterator, Iterator
from typing import Annotated, Any, NoReturn

import fastapi
import flask
import httpx2 as httpx
from starlette.responses import PlainTextResponse, Response, StreamingResponse

import inferlog
from tests.support.logfiles import Logs
from tests.support.polling import wait_until
from tests.support.serving import serve_app, serve_wsgi


def log_line(where: str) -> None:
    """Write a line through structlog and through logging."""
    inferlog.get_logger().info(where)
    logging.getLogger("a.library").warning(where)


def build_fastapi() -> fastapi.FastAPI:
    app = fastapi.FastAPI()
    app.add_middleware(inferlog.InferenceMiddleware)

    async def dependency() -> AsyncIterator[None]:
        log_line("dependency")
        yield
        log_line("dependency at its end")

    def dependency_in_a_thread() -> None:
        log_line("dependency in a thread")

    @app.exception_handler(LookupError)
    async def exception_handler(request: fastapi.Request, error: Exception) -> Response:
        log_line("exception handler")
        return PlainTextResponse("", status_code=503)

    @app.get("/handler", dependencies=[fastapi.Depends(dependency), fastapi.Depends(dependency_in_a_thread)])
    async def handler(tasks: fastapi.BackgroundTasks) -> str:
        log_line("handler")
        tasks.add_task(log_line, "background task")
        return ""

    @app.get("/pool")
    def pool() -> str:
        log_line("handler in a thread")
        return ""

    @app.get("/raises")
    async def raises() -> None:
        raise LookupError("no such model")

    @app.get("/stream")
    async def stream(_: Annotated[None, fastapi.Depends(dependency)]) -> StreamingResponse:
        async def parts() -> AsyncIterator[bytes]:
            log_line("stream")
            yield b"a"

        return StreamingResponse(parts())

    return app


FASTAPI_LINES = {
    "/handler": ["dependency", "dependency in a thread", "handler", "background task", "dependency at its end"],
    "/pool": ["handler in a thread"],
    "/raises": ["exception handler"],
    "/stream": ["dependency", "stream", "dependency at its end"],
}


def build_flask() -> flask.Flask:
    app = flask.Flask(__name__)
    app.wsgi_app = inferlog.InferenceWSGIMiddleware(app.wsgi_app)  # type: ignore[method-assign]
    app.before_request(lambda: log_line("before request"))

    @app.errorhandler(LookupError)
    def error_handler(error: LookupError) -> tuple[str, int]:
        log_line("error handler")
        return "", 503

    @app.teardown_request
    def teardown(error: BaseException | None) -> None:
        log_line("teardown")

    @app.get("/handler")
    def handler() -> str:
        thread = threading.Thread(target=contextvars.copy_context().run, args=(log_line, "thread in its context"))
        thread.start()
        thread.join()
        return ""

    @app.get("/raises")
    def raises() -> NoReturn:
        raise LookupError("no such model")

    @app.get("/stream")
    def stream() -> flask.Response:
        def parts() -> Iterator[bytes]:
            log_line("stream")
            yield b"a"

        return flask.Response(parts())

    return app


FLASK_LINES = {
    "/handler": ["before request", "thread in its context", "teardown"],
    "/raises": ["before request", "error handler", "teardown"],
    "/stream": ["before request", "teardown", "stream"],
}


def test_fastapi_lines_have_ids_of_request(logs: Logs) -> None:
    with serve_app(build_fastapi()) as url:
        check(logs, url, FASTAPI_LINES)


def test_flask_lines_have_ids_of_request(logs: Logs) -> None:
    with serve_wsgi(build_flask()) as url:
        check(logs, url, FLASK_LINES)


def check(logs: Logs, url: str, expected: dict[str, list[str]]) -> None:
    for path, places in expected.items():
        request_id = httpx.get(url + path).headers["X-Request-ID"]

        def lines(request_id: str = request_id) -> list[dict[str, Any]]:
            return [line for line in logs.read_lines("app") if line.get("request_id") == request_id]

        def are_there(expected_lines: int = 2 * len(places)) -> bool:
            return len(lines()) >= expected_lines

        wait_until(are_there, what=f"the lines of {path}")
        for logger in ("app", "a.library"):
            said = [line["message"] for line in lines() if line["log"]["logger"] == logger]
            assert sorted(said) == sorted(places)
    all_places = {place for places in expected.values() for place in places}
    assert not [line for line in logs.read_lines("app") if line["message"] in all_places and "request_id" not in line]
