"""Runs each example in docs/examples like a user, and compares its events with the pages."""

import hashlib
import importlib.util
import os
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import ModuleType
from typing import Any

import httpx2 as httpx
import pytest

import inferlog
from tests.support.logfiles import Logs
from tests.support.polling import wait_until
from tests.support.serving import serve_app, serve_wsgi

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"


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


def test_fastapi_example_writes_its_events(logs: Logs) -> None:
    with serve_app(load("fastapi_service").app) as url, httpx.Client(base_url=url) as client:
        assert client.post("/sentiment", json={"text": "a good book"}).json() == {"sentiment": "good"}
        assert client.post("/echo", json={"text": "a good book"}).text == "a good book "
        assert client.post("/sentiment", json={"text": ""}).status_code == 422
        first, second, third = wait_until(lambda: logs.events if len(logs.events) == 3 else None, what="three events")
    assert (first["model_version"], first["gen_ai"]["usage"]["input_tokens"], first["status"]) == ("v3", 3, "success")
    assert (second["http"]["route"], second["gen_ai"]["usage"]["output_tokens"]) == ("/echo", 3)
    assert third["status"] == "rejected"
    (line,) = (line for line in logs.read_lines("app") if line["message"] == "sentiment.judged")
    assert line["request_id"] == first["request_id"]


def test_starlette_example_writes_its_event(logs: Logs) -> None:
    with serve_app(load("starlette_service").app) as url:
        assert httpx.post(f"{url}/acme/sentiment", content="a good book").text == "good"
    event = logs.event
    assert (event["model_version"], event["http"]["route"]) == ("v3", "/{tenant}/sentiment")
    assert event["client"] == {"id": hashlib.blake2b(b"acme", digest_size=16).hexdigest()}


@pytest.mark.parametrize(
    ("name", "variable", "serve"), [("asgi_service", "app", serve_app), ("wsgi_service", "application", serve_wsgi)]
)
def test_example_without_a_framework_writes_its_event(logs: Logs, name: str, variable: str, serve: Any) -> None:
    with serve(getattr(load(name), variable)) as url:
        answer = httpx.post(f"{url}/any/path", content="a bad book", headers={"Authorization": "Bearer of-a-key"})
    assert answer.text == "bad"
    event = logs.event
    assert (event["status"], event["model_version"], event["http"]["route"]) == ("success", "v3", "/sentiment")
    assert len(event["client"]["id"]) == 32


def test_flask_example_writes_its_events(logs: Logs) -> None:
    app = load("flask_service").app
    assert app.test_client().post("/sentiment/en", data="a good book").text == "good"
    assert app.test_client().post("/sentiment/fr", data="un livre", buffered=True).status_code == 404
    first, second = logs.events
    assert (first["model_version"], first["http"]["route"]) == ("v3", "/sentiment/<language>")
    assert second["status"] == "rejected"


def test_batching_example_writes_an_event_for_each_request(logs: Logs) -> None:
    with serve_app(load("batching_service").app, lifespan="on") as url, ThreadPoolExecutor(3) as callers:
        texts = ["a good book", "a bad book", "a long book"]
        answers = list(callers.map(lambda text: httpx.post(f"{url}/sentiment", json={"text": text}).json(), texts))
        events = wait_until(lambda: logs.events if len(logs.events) == 3 else None, what="three events")
    assert answers == [{"sentiment": "good"}, {"sentiment": "bad"}, {"sentiment": "bad"}]
    sizes = Counter(event["batch_size"] for event in events)
    assert all(count % size == 0 for size, count in sizes.items()), "each batch has as many events as it says"
    for event in events:
        assert (event["model_version"], event["status"]) == ("v3", "success")
        assert event["latency_seconds"] >= event["queue_seconds"] + event["model_latency_seconds"]


def test_batch_script_writes_an_event_for_each_call(logs: Logs) -> None:
    printed = subprocess.run(
        [sys.executable, DOCS / "examples" / "batch_script.py"],
        env={**os.environ, "INFERLOG_LOG_DIR": str(logs.directory)},
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert printed == "the third batch failed, and its event says so\n"
    judged, ranked, recorded, failed = logs.events
    assert judged["gen_ai"] == {"operation": {"name": "judge"}, "usage": {"input_tokens": 6, "output_tokens": 2}}
    assert ranked["labels"] == {"customer": "acme"}
    assert (recorded["latency_seconds"], recorded["status"]) == (0.84, "success")
    assert (failed["status"], failed["error"]["type"]) == ("error", "AttributeError")


def test_two_services_write_events_with_one_correlation_id(logs: Logs, monkeypatch: pytest.MonkeyPatch) -> None:
    with serve_app(load("fastapi_service").app) as model_url:
        monkeypatch.setenv("MODEL_URL", model_url)
        with serve_app(load("gateway").app) as url:
            response = httpx.post(f"{url}/ask", json={"text": "a good book"})
    assert response.json() == {"sentiment": "good"}
    events = wait_until(lambda: logs.events if len(logs.events) == 2 else None, what="both events")
    gateway, model = sorted(events, key=lambda event: str(event["http"]["route"]))
    assert model["correlation_id"] == gateway["correlation_id"] == response.headers["X-Correlation-ID"]
    assert gateway["latency_seconds"] >= model["latency_seconds"]


def test_page_on_tests_shows_a_passing_test(tmp_path: Path) -> None:
    first, second = find_python_blocks(DOCS / "frameworks" / "testing.md")
    (tmp_path / "test_reviews.py").write_text(first)
    (tmp_path / "test_batch.py").write_text(f"from batch_script import judge\n{second}")
    tests = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", tmp_path],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(DOCS / "examples"), "PYTEST_ADDOPTS": ""},
        capture_output=True,
        text=True,
        check=False,
    )
    assert "1 passed" in tests.stdout
    assert sorted(path.name for path in tmp_path.glob("**/*.jsonl")) == []


PAGES_WITH_EXAMPLES = (
    *("asgi_and_wsgi", "batching", "celery", "fastapi", "flask", "litellm", "plain_python", "several_services"),
    "starlette",
)


@pytest.mark.parametrize("name", PAGES_WITH_EXAMPLES)
def test_page_quotes_its_example(name: str) -> None:
    page = DOCS / "frameworks" / f"{name}.md"
    examples = [(page.parent / target).read_text() for target in re.findall(r"\]\((\S+\.py)\)", page.read_text())]
    shown = find_python_blocks(page)
    assert examples
    assert shown
    for block in shown:
        assert any(block in example for example in examples), block


def find_python_blocks(page: Path) -> list[str]:
    return re.findall(r"^```python\n(.*?)^```$", page.read_text(), re.MULTILINE | re.DOTALL)


def test_every_example_and_page_is_linked_and_every_link_leads_somewhere() -> None:
    linked = set()
    for page in [*DOCS.rglob("*.md"), ROOT / "README.md", ROOT / "CONTRIBUTING.md"]:
        for target, heading in re.findall(r"\]\(([^)#:\s]*)(?:#([^)\s]+))?\)", page.read_text()):
            path = (page.parent / target).resolve() if target else page
            assert path.exists(), f"{page.name} links to {target}"
            assert not heading or heading in find_headings(path), f"{page.name} links to {target}#{heading}"
            linked.add(path)
    assert linked >= {path.resolve() for path in (DOCS / "examples").glob("*.py")}
    assert linked >= {path.resolve() for path in (DOCS / "frameworks").glob("*.md")}


def test_index_links_every_page() -> None:
    index = (DOCS / "README.md").read_text()
    pages = {str(page.relative_to(DOCS)) for folder in (DOCS, DOCS / "evidence") for page in folder.glob("*.md")}
    missing = pages - {"README.md"} - set(re.findall(r"\]\(([^)#:]+)\)", index))
    assert not missing, "add a link to docs/README.md"


@pytest.mark.parametrize("page", ["CONTRIBUTING.md", "docs/architecture.md"])
def test_page_names_paths_that_exist(page: str) -> None:
    """A path is text in backticks that begins with a folder of the repository; a pattern matches at least one file."""
    folders = "|".join(sorted(path.name for path in ROOT.iterdir() if path.is_dir() and path.name[0] != "."))
    named = re.findall(rf"`((?:{folders})/[^`\s]*)`", (ROOT / page).read_text())
    assert named
    assert [path for path in named if not (any(ROOT.glob(path)) if "*" in path else (ROOT / path).exists())] == []


def find_headings(page: Path) -> set[str]:
    """Return the headings of *page* as a link names them."""
    found = re.findall(r"^#+ (.+)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading).lower().replace(" ", "-") for heading in found}
