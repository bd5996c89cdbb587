"""The WSGI middleware, driven like by servers: one event per request, and no visible change for the server."""

import socketserver
import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from typing import Any
from wsgiref.handlers import SimpleHandler
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server
from wsgiref.util import setup_testing_defaults
from wsgiref.validate import validator

import httpx2 as httpx
import pytest

import inferlog
from inferlog.context import current_inference
from tests.support.logfiles import Logs

App = Callable[[dict[str, Any], Any], Iterable[bytes]]


class Answer:
    """Parts that a server has received from an application."""

    def __init__(self) -> None:
        self.status = ""
        self.headers: dict[str, str] = {}
        self.written: list[bytes] = []

    def start_response(self, status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> Any:
        assert exc_info or not self.status
        names = [name for name, _ in headers]
        assert len(names) == len(set(names)), "a header twice"
        self.status, self.headers = status, dict(headers)
        return self.written.append


def build_environ(path: str = "/predict", **more: str) -> dict[str, Any]:
    variables: dict[str, Any] = {"PATH_INFO": path, "SCRIPT_NAME": "", "QUERY_STRING": "", **more}
    setup_testing_defaults(variables)
    return variables


def ask(app: App, given: dict[str, Any] | None = None, *, parts: int | None = None) -> Answer:
    """Act like a server; with *parts*, like one whose client disconnects after that number of parts."""
    answer = Answer()
    body = app(build_environ() if given is None else given, answer.start_response)
    try:
        for number, part in enumerate(body):
            if number == parts:
                break
            answer.written.append(part)
    finally:
        if hasattr(body, "close"):
            body.close()
    return answer


class Parts:
    """A body that records whether it was closed."""

    def __init__(self, *parts: bytes | BaseException, on_close: Callable[[], object] = lambda: None) -> None:
        self._parts = list(parts)
        self._on_close = on_close
        self.closed = 0

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        if not self._parts:
            raise StopIteration
        part = self._parts.pop(0)
        if isinstance(part, BaseException):
            raise part
        return part

    def close(self) -> None:
        self.closed += 1
        self._on_close()


def build_app(body: Iterable[bytes], status: str = "200 OK", headers: list[tuple[str, str]] | None = None) -> App:
    def app(given: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        start_response(status, headers or [])
        return body

    return inferlog.InferenceWSGIMiddleware(app)


def read_outcome(logs: Logs) -> tuple[str, int | None, str | None]:
    """Return status, code and error type of the only event."""
    (event,) = logs.events
    return (
        event["status"],
        event["http"].get("response", {}).get("status_code"),
        event.get("error", {}).get("type"),
    )


def test_list_is_one_event_and_keeps_its_length(logs: Logs) -> None:
    app = build_app([b"a", b"b"])
    answer = ask(app)
    assert answer.written == [b"a", b"b"]
    assert answer.headers["X-Request-ID"] == logs.event["request_id"]
    assert read_outcome(logs) == ("success", 200, None)
    assert len(app(build_environ(), Answer().start_response)) == 2  # type: ignore[arg-type]  # a list has one
    assert not hasattr(build_app(iter([b"a"]))(build_environ(), Answer().start_response), "__len__")


@pytest.mark.parametrize("body", [[b"one part"], (b"two", b"parts"), iter([b"iterated"]), [], Parts(b"closed")])
def test_valid_application_passes_wsgi_validator(logs: Logs, body: Iterable[bytes]) -> None:
    def app(given: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        start_response("200 OK", [("Content-Type", "text/plain")])
        return body

    checked = validator(inferlog.InferenceWSGIMiddleware(validator(app)))
    expected = list(body) if isinstance(body, (list, tuple)) else None
    answer = ask(checked)
    assert expected is None or answer.written == expected
    assert read_outcome(logs) == ("success", 200, None)


def test_exception_before_answer_is_server_s_500(logs: Logs) -> None:
    def app(given: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        raise boom

    boom = RuntimeError("boom")
    with pytest.raises(RuntimeError) as caught:
        ask(inferlog.InferenceWSGIMiddleware(app))
    assert caught.value is boom
    assert read_outcome(logs) == ("error", 500, "RuntimeError")


def test_exception_before_first_part_is_server_s_500_too(logs: Logs) -> None:
    parts = Parts(ValueError("broke at once"))
    with pytest.raises(ValueError, match="broke at once"):
        ask(build_app(parts))
    assert read_outcome(logs) == ("error", 500, "ValueError")
    assert parts.closed == 1


def test_exception_in_mid_stream_is_error_with_code_that_was_sent(logs: Logs) -> None:
    parts = Parts(b"a", ValueError("broke in the middle"))
    with pytest.raises(ValueError, match="broke in the middle"):
        ask(build_app(parts))
    assert read_outcome(logs) == ("error", 200, "ValueError")
    assert parts.closed == 1


def test_stream_is_one_event_when_it_is_exhausted(logs: Logs) -> None:
    parts = Parts(b"a", b"b", on_close=lambda: seen_at_close.append(len(logs.events)))
    seen_at_close: list[int] = []
    assert ask(build_app(parts)).written == [b"a", b"b"]
    assert seen_at_close == [1]
    assert read_outcome(logs) == ("success", 200, None)


def test_stream_is_cancelled_when_client_disconnects_with_values_bound_at_close(logs: Logs) -> None:
    parts = Parts(b"a", b"b", b"c", on_close=lambda: inferlog.bind_inference(output_tokens=2))
    ask(build_app(parts), parts=2)
    assert read_outcome(logs) == ("cancelled", 200, None)
    assert logs.event["gen_ai"]["usage"] == {"output_tokens": 2}
    assert parts.closed == 1


def test_exception_at_close_is_raised_and_in_event(logs: Logs) -> None:
    def fail() -> None:
        raise OSError("cannot be closed")

    with pytest.raises(OSError, match="cannot be closed"):
        ask(build_app(Parts(b"a", b"b", on_close=fail)), parts=1)
    assert read_outcome(logs) == ("error", 200, "OSError")


def test_body_rejected_by_server_is_error(logs: Logs) -> None:
    body = build_app(["text"])(build_environ(), Answer().start_response)  # type: ignore[list-item]  # deliberately invalid
    with pytest.raises(TypeError), closing(body):  # type: ignore[type-var]
        [bytes(part) for part in body]
    assert read_outcome(logs) == ("error", 200, "TypeError")


@pytest.mark.parametrize(("method", "status"), [("HEAD", "200 OK"), ("GET", "304 Not Modified"), ("GET", "204 No")])
def test_response_without_body_is_complete_when_server_skips_it(logs: Logs, method: str, status: str) -> None:
    body = build_app(Parts(b"not wanted"), status)(build_environ(REQUEST_METHOD=method), Answer().start_response)
    body.close()  # type: ignore[attr-defined]
    assert read_outcome(logs) == ("success", int(status[:3]), None)


def test_application_that_writes_is_one_event(logs: Logs) -> None:
    def app(given: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        write = start_response("200 OK", [])
        write(b"written")
        return []

    assert ask(inferlog.InferenceWSGIMiddleware(app)).written == [b"written"]
    assert read_outcome(logs) == ("success", 200, None)


class ClientDisconnected(Exception):  # noqa: N818 (its name is what counts)
    """Exception class of waitress."""


disconnected = pytest.mark.parametrize("error", [OSError, BrokenPipeError, ConnectionResetError, ClientDisconnected])


@disconnected
@pytest.mark.parametrize(("stated", "status"), [({}, "cancelled"), ({"status": "success"}, "success")])
def test_write_is_cancelled_when_client_has_disconnected(
    logs: Logs, error: type[Exception], stated: dict[str, Any], status: str
) -> None:
    def app(given: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        inferlog.bind_inference(**stated)
        start_response("200 OK", [])(b"written")
        return []

    def write(data: bytes) -> None:
        raise error

    with pytest.raises(error):
        inferlog.InferenceWSGIMiddleware(app)(build_environ(), lambda *_: write)
    assert read_outcome(logs) == (status, 200, None)


def test_operating_system_error_of_application_after_failed_write_is_error(logs: Logs) -> None:
    def app(given: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        inferlog.bind_inference(status="success")
        with suppress(OSError):
            start_response("200 OK", EVENT_STREAM)(b"data: [DONE]\n\n")
        raise PermissionError("the usage is not stored")

    written: list[bytes] = []

    def write(data: bytes) -> None:
        if written:
            raise OSError
        written.append(data)

    with pytest.raises(PermissionError):
        inferlog.InferenceWSGIMiddleware(app)(build_environ(), lambda *_: write)
    assert read_outcome(logs) == ("error", 200, "PermissionError")


def test_error_that_application_answers_names_its_cause(logs: Logs) -> None:
    def app(given: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        start_response("200 OK", [])
        try:
            raise LookupError("no such model")
        except LookupError:
            start_response("503 Service Unavailable", [], sys.exc_info())
        return [b"later"]

    assert ask(inferlog.InferenceWSGIMiddleware(app)).status == "503 Service Unavailable"
    assert read_outcome(logs) == ("error", 503, "LookupError")
    assert logs.event["error"]["message"] == "no such model"
    assert "stack_trace" not in logs.event["error"]


def test_second_start_of_the_response_has_the_ids_of_the_first(logs: Logs) -> None:
    def app(given: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        start_response("200 OK", [])
        inferlog.bind_inference(correlation_id="late")
        start_response("200 OK", [], (ValueError, ValueError("again"), None))
        return [b"a"]

    answer = ask(inferlog.InferenceWSGIMiddleware(app))
    assert answer.headers["X-Correlation-ID"] == logs.event["correlation_id"] != "late"


def test_application_that_answers_while_it_is_iterated_is_one_event(logs: Logs) -> None:
    def app(given: dict[str, Any], start_response: Any) -> Iterator[bytes]:
        inferlog.bind_inference(model_version="v1")
        start_response("200 OK", [])
        yield b"a"
        inferlog.bind_inference(output_tokens=1)

    ask(inferlog.InferenceWSGIMiddleware(app))
    assert read_outcome(logs) == ("success", 200, None)
    assert logs.event["model_version"] == "v1"
    assert logs.event["gen_ai"]["usage"] == {"output_tokens": 1}


def test_application_that_never_answers_is_error(logs: Logs) -> None:
    ask(inferlog.InferenceWSGIMiddleware(lambda *_: []))
    assert read_outcome(logs) == ("error", None, "no_response")


@pytest.mark.parametrize("status", ["999 Odd", "nonsense", ""])
def test_invalid_status_is_passed_to_server(logs: Logs, status: str) -> None:
    ask(build_app([b"a"], status))
    assert read_outcome(logs)[:2] == ("error", None)


def test_request_is_current_in_every_step_only(logs: Logs) -> None:
    currents = []

    def note() -> None:
        inference = current_inference.get()
        currents.append(inference and inference.fields["request_id"])

    def parts() -> Iterator[bytes]:
        note()
        yield b"a"
        note()

    def app(given: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        start_response("200 OK", [])
        note()
        return Parts(*parts(), on_close=note)

    answer = Answer()
    body = inferlog.InferenceWSGIMiddleware(app)(build_environ(), answer.start_response)
    outside = [current_inference.get(), *(current_inference.get() for _ in body)]
    body.close()  # type: ignore[attr-defined]
    outside.append(current_inference.get())
    assert set(outside) == {None}
    assert currents == [answer.headers["X-Request-ID"]] * 4


def test_outermost_of_nested_middlewares_owns_event(logs: Logs) -> None:
    answer = ask(inferlog.InferenceWSGIMiddleware(build_app([b"a"])))
    assert answer.headers["X-Request-ID"] == logs.event["request_id"]
    assert len(logs.events) == 1


def test_application_called_in_tracked_block_has_own_event(logs: Logs) -> None:
    with inferlog.track_performance("outer"):
        ask(build_app([b"a"]))
    assert [event["http"]["request"] if "http" in event else None for event in logs.events] == [{"method": "GET"}, None]


def test_health_check_writes_no_event(logs: Logs) -> None:
    assert "X-Request-ID" not in ask(build_app([b"a"]), build_environ("/healthz")).headers
    assert logs.events == []


def test_ids_go_in_and_out_and_take_place_of_application_s(logs: Logs) -> None:
    app = build_app([b"a"], headers=[("x-request-id", "its own"), ("X-Other", "stays")])
    answer = ask(app, build_environ(HTTP_X_CORRELATION_ID="order-17", HTTP_TRACEPARENT="00-nonsense"))
    assert answer.headers == {
        "X-Other": "stays",
        "X-Request-ID": logs.event["request_id"],
        "X-Correlation-ID": "order-17",
    }
    assert logs.event["correlation_id"] == "order-17"
    assert logs.event["labels"] == {"refused_headers": "traceparent"}


@pytest.mark.parametrize(
    ("model_version", "expected"),
    [
        ("v3", "v3"),
        (lambda given, _: given["PATH_INFO"].strip("/"), "predict"),
        (lambda _, headers: headers["x-model"], "v4"),
        (lambda *_: None, None),
        (lambda _, headers: headers["absent"], None),
        (lambda *_: 7, None),
    ],
)
def test_model_version_is_constant_or_found_in_request_and_response(
    logs: Logs, model_version: Any, expected: str | None
) -> None:
    def app(given: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        start_response("200 OK", [("X-Model", "v4")])
        return [b"a"]

    assert ask(inferlog.InferenceWSGIMiddleware(app, model_version=model_version)).status == "200 OK"
    assert logs.event.get("model_version") == expected


def test_many_threads_keep_their_requests_apart(logs: Logs) -> None:
    together = threading.Barrier(4)

    def parts(name: str) -> Iterator[bytes]:
        together.wait(10)
        inferlog.bind_inference(model_name=name)
        yield b"a"
        together.wait(10)
        inferlog.bind_inference(model_version=name)
        yield b"b"

    def app(given: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        start_response("200 OK", [])
        return parts(given["PATH_INFO"])

    application = inferlog.InferenceWSGIMiddleware(app)
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda number: ask(application, build_environ(f"/{number}")), range(40)))
    assert all(event["model_name"] == event["model_version"] for event in logs.events)
    assert sorted(event["model_name"] for event in logs.events) == sorted(f"/{number}" for number in range(40))


@pytest.mark.parametrize("error", [OSError("disk is gone"), RuntimeError("odd")])
def test_failure_to_log_changes_neither_response_nor_exception(
    logs: Logs, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    def record(*_: object) -> None:
        raise error

    monkeypatch.setattr("inferlog.runtime.Runtime.record", record)
    assert ask(build_app([b"a"])).written == [b"a"]
    with pytest.raises(ValueError, match="the service's own"):
        ask(build_app(Parts(b"a", ValueError("the service's own"))))
    (line, _) = logs.read_lines("app")
    assert line["message"] == "inferlog.failed: the event of a request"
    assert line["error"]["message"] == str(error)


class _ThreadingServer(socketserver.ThreadingMixIn, WSGIServer):
    daemon_threads = True


class _QuietHandler(WSGIRequestHandler):
    def log_message(self, *_: Any) -> None:
        pass


def test_standard_library_server_sets_content_length_for_list(logs: Logs) -> None:
    server = make_server("127.0.0.1", 0, build_app([b"12345"]), _ThreadingServer, _QuietHandler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        response = httpx.get(f"http://127.0.0.1:{server.server_port}/")
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
    assert response.headers["Content-Length"] == "5"
    assert response.headers["X-Request-ID"] == logs.event["request_id"]
    assert read_outcome(logs) == ("success", 200, None)


@disconnected
def test_body_closed_by_server_is_cancelled_when_client_has_disconnected(logs: Logs, error: type[Exception]) -> None:
    class Gone(SimpleHandler):
        def _write(self, _: bytes) -> None:
            raise error

        def log_exception(self, exc_info: Any) -> None:
            pass

    handler = Gone(None, None, None, build_environ())  # type: ignore[arg-type]  # nothing is read or written
    handler.run(build_app(Parts(b"a", b"b")))
    assert read_outcome(logs) == ("cancelled", 200, None)


EVENT_STREAM = [("Content-Type", "text/event-stream")]


def build_streaming_app(*parts: bytes | BaseException, **stated: Any) -> Any:
    """Return an application whose body the server closes before its end."""

    def app(given: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        start_response("200 OK", EVENT_STREAM)
        inferlog.bind_inference(**stated)
        return Parts(*parts)

    return inferlog.InferenceWSGIMiddleware(app)


@pytest.mark.parametrize("parts", [[b"data: 1\n\ndata: [DONE]\n\n"], [b"data: 1\n\n", b"data: [DO", b"NE]\n\n"]])
def test_stream_is_success_when_client_disconnects_after_done(logs: Logs, parts: list[bytes]) -> None:
    ask(build_streaming_app(*parts, b": the usage is being stored\n\n"), parts=len(parts))
    assert read_outcome(logs) == ("success", 200, None)


class FailingServer(SimpleHandler):
    """Sends a number of parts, then detects that the client has disconnected."""

    def __init__(self, app: Any, *, sends: int) -> None:
        super().__init__(None, None, None, build_environ())  # type: ignore[arg-type]  # nothing is read or written
        self._sends = sends
        self.run(app)

    def write(self, _: bytes) -> None:
        if not self._sends:
            raise BrokenPipeError
        self._sends -= 1

    def log_exception(self, exc_info: Any) -> None:
        pass


@pytest.mark.parametrize(("sends", "status"), [(2, "success"), (1, "cancelled"), (0, "cancelled")])
def test_stream_is_success_after_server_has_sent_done(logs: Logs, sends: int, status: str) -> None:
    FailingServer(build_streaming_app(b"data: 1\n\n", b"data: [DONE]\n\n", b": bye\n\n"), sends=sends)
    assert read_outcome(logs) == (status, 200, None)


def test_written_done_is_success_when_client_disconnects(logs: Logs) -> None:
    def app(given: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        start_response("200 OK", EVENT_STREAM)(b"data: [DONE]\n\n")
        return Parts(b"a", b"b")

    ask(inferlog.InferenceWSGIMiddleware(app), parts=1)
    assert read_outcome(logs) == ("success", 200, None)


def test_stream_is_cancelled_when_client_disconnects_before_done(logs: Logs) -> None:
    ask(build_streaming_app(b"data: 1\n\n", b"data: [DONE]\n\n"), parts=1)
    assert read_outcome(logs) == ("cancelled", 200, None)


def test_exception_of_handler_after_its_done_is_error(logs: Logs) -> None:
    with pytest.raises(ValueError, match="not stored"):
        ask(build_streaming_app(b"data: [DONE]\n\n", ValueError("the usage is not stored")))
    assert read_outcome(logs) == ("error", 200, "ValueError")


def test_bound_status_wins_when_client_disconnects(logs: Logs) -> None:
    ask(build_streaming_app(b"a", b"b", status="success"), parts=1)
    assert read_outcome(logs) == ("success", 200, None)
