"""Browser, clusters and test dashboards."""

import json
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import replace
from functools import partial
from typing import Any

import pytest

from inferlog_ops.core.cluster import Cluster
from inferlog_ops.query.dashboards import files
from tests.golden import END, START, Golden, Row, build_golden, compute_expected_rows
from tests.support.browsing import Visit, format_address, open_preview, run_browser
from tests.support.indexing import create_fresh_cluster, index


@pytest.fixture(scope="module")  # not longer: tests of other modules want a loop of their own
def window() -> Iterator[Callable[..., AbstractContextManager[Visit]]]:
    """Opens the page of a cluster: `browsing.open_preview` with a browser."""
    with run_browser() as browser:
        yield partial(open_preview, browser)


@pytest.fixture(scope="session")
def known() -> Golden:
    """Golden documents, each once."""
    return replace(build_golden(), again=[], again_later=[])


@pytest.fixture(scope="session")
def filled(engine_url: str, known: Golden) -> Cluster:
    """An engine with the documents."""
    cluster = create_fresh_cluster(engine_url)
    index(cluster, "events", known.first)
    index(cluster, "health", known.heartbeats)
    index(cluster, "app", known.log_lines)
    return cluster


@pytest.fixture(scope="session")
def answer(known: Golden) -> Callable[[str], list[Row]]:
    """Expected rows of a query."""
    documents = known.select_between(START, END)
    return lambda query: compute_expected_rows(query, documents, START, END)


@pytest.fixture(scope="session")
def empty(engine_url: str) -> Cluster:
    """An engine with streams and without events."""
    return create_fresh_cluster(engine_url)


@pytest.fixture(scope="session")
def all_of_them() -> dict[str, Any]:
    """URL parameters of the range of the documents, with refresh paused."""
    return {"from": format_address(START), "to": format_address(END), "refresh": 0, "utc": ""}


@pytest.fixture(scope="module")
def dashboard(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., str]]:
    """Writes dashboard files that replace inferlog's for a test module."""
    folder = tmp_path_factory.mktemp("dashboards")

    def write(*panels: dict[str, Any], name: str = "inferlog-test", title: str = "Test", **body: Any) -> str:
        (folder / f"{name}.json").write_text(json.dumps({"title": title, "panels": panels, **body}))
        return name

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(files, "find_asset_dir", lambda _: folder)
        yield write
