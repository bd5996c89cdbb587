"""Open requests at the start of a request, and in the heartbeat, with the lag of the event loop."""

import threading
from collections.abc import Iterator

import fastapi
import httpx2 as httpx
import pytest

import inferlog
from inferlog.configuration import get_runtime
from tests.support.logfiles import Logs
from tests.support.polling import wait_until
from tests.support.serving import serve_app


class Gate:
    """Holds requests until the test releases them."""

    def __init__(self) -> None:
        self.waiting = threading.Semaphore(0)
        self.open = threading.Event()


@pytest.fixture
def gate(logs: Logs) -> Iterator[tuple[str, Gate]]:
    gate = Gate()
    app = fastapi.FastAPI()
    app.add_middleware(inferlog.InferenceMiddleware)

    @app.get("/held")
    def held() -> str:
        gate.waiting.release()
        gate.open.wait(10)
        return "ok"

    with serve_app(app) as url:
        yield url, gate
        gate.open.set()


def test_in_flight_counts_other_open_requests(logs: Logs, gate: tuple[str, Gate]) -> None:
    url, held = gate
    threads = [threading.Thread(target=httpx.get, args=(f"{url}/held",)) for _ in range(3)]
    for thread in threads:
        thread.start()
        assert held.waiting.acquire(timeout=10)
    line = get_runtime().heartbeat.build_line()
    assert line["active_requests"] == 3
    assert 0 < line["event_loop"]["lag_seconds"] <= 1
    held.open.set()
    for thread in threads:
        thread.join()
    events = wait_until(lambda: logs.events if len(logs.events) == 3 else None, what="three events")
    assert sorted(event["in_flight"] for event in events) == [0, 1, 2]
    assert get_runtime().heartbeat.build_line()["active_requests"] == 0
