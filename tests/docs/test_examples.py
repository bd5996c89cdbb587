"""Each example in docs/examples is run as a user would run it, and its events are what the pages say."""

import importlib.util
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import httpx2 as httpx
import pytest
from logfiles import Logs
from polling import wait_until
from serving import serving

import inferlog

DOCS = Path(__file__).parents[2] / "docs"


def load(name: str) -> ModuleType:
    """Run the example's file as a module of that name."""
    spec = importlib.util.spec_from_file_location(f"example_{name}", DOCS / "examples" / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # Pydantic looks the module up by its name
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def logs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Logs]:
    """The examples configure themselves; where their files go comes from the environment."""
    monkeypatch.setenv("INFERLOG_LOG_DIR", str(tmp_path / "logs"))
    yield Logs(tmp_path / "logs")
    inferlog.shutdown()


def test_fastapi(logs: Logs) -> None:
    with serving(load("fastapi_service").app) as url, httpx.Client(base_url=url) as client:
        assert client.post("/sentiment", json={"text": "a good book"}).json() == {"sentiment": "good"}
        assert client.post("/echo", json={"text": "a good book"}).text == "a good book "
        assert client.post("/sentiment", json={"text": ""}).status_code == 422
        first, second, third = wait_until(lambda: logs.events if len(logs.events) == 3 else None, what="three events")
    assert (first["model_version"], first["gen_ai"]["usage"]["input_tokens"], first["status"]) == ("v3", 3, "success")
    assert (second["http"]["route"], second["gen_ai"]["usage"]["output_tokens"]) == ("/echo", 3)
    assert third["status"] == "rejected"
    (line,) = (line for line in logs.lines("app") if line["message"] == "sentiment.judged")
    assert line["request_id"] == first["request_id"]


def test_flask(logs: Logs) -> None:
    app = load("flask_service").app
    assert app.test_client().post("/sentiment/en", data="a good book").text == "good"
    assert app.test_client().post("/sentiment/fr", data="un livre", buffered=True).status_code == 404
    first, second = logs.events
    assert (first["model_version"], first["http"]["route"]) == ("v3", "/sentiment/<language>")
    assert second["status"] == "rejected"


def test_batch_script(logs: Logs) -> None:
    printed = subprocess.run(
        [sys.executable, DOCS / "examples" / "batch_script.py"],
        env={**os.environ, "INFERLOG_LOG_DIR": str(logs.directory)},
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert printed == "the third batch failed, and its event says so\n"
    judged, ranked, failed = logs.events
    assert judged["gen_ai"] == {"operation": {"name": "judge"}, "usage": {"input_tokens": 6, "output_tokens": 2}}
    assert ranked["labels"] == {"customer": "acme"}
    assert (failed["status"], failed["error"]["type"]) == ("error", "AttributeError")


def test_two_services(logs: Logs, monkeypatch: pytest.MonkeyPatch) -> None:
    with serving(load("fastapi_service").app) as model_url:
        monkeypatch.setenv("MODEL_URL", model_url)
        with serving(load("gateway").app) as url:
            response = httpx.post(f"{url}/ask", json={"text": "a good book"})
    assert response.json() == {"sentiment": "good"}
    events = wait_until(lambda: logs.events if len(logs.events) == 2 else None, what="both events")
    gateway, model = sorted(events, key=lambda event: str(event["http"]["route"]))
    assert model["correlation_id"] == gateway["correlation_id"] == response.headers["X-Correlation-ID"]
    assert gateway["latency_seconds"] >= model["latency_seconds"]


def test_every_example_is_linked_from_a_page_and_every_link_leads_somewhere() -> None:
    linked = set()
    for page in [*DOCS.glob("*.md"), DOCS.parent / "README.md"]:
        for target in re.findall(r"\]\(([^)#:]+)\)", page.read_text()):
            assert (page.parent / target).exists(), f"{page.name} links to {target}"
            linked.add((page.parent / target).resolve())
    assert linked >= {path.resolve() for path in (DOCS / "examples").glob("*.py")}
