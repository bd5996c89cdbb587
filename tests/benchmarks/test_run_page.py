"""Page of a run of benchmarks."""

from datetime import UTC, datetime

import orjson
import pytest

from benchmarks.benchmark_process import Finding
from benchmarks.machine import Machine
from benchmarks.run_page import RunPage

MACHINE = Machine(
    processor="Abacus",
    cores=2,
    memory_bytes=24_000_000_000,
    system="Linux 6",
    python="3.11.7",
    versions={"inferlog": "0.1.0", "structlog": "26.1.0"},
    commit="abc1234",
)


@pytest.fixture
def page() -> RunPage:
    done = Finding(name="disk", command="run disk", seconds=61, load_before=0.5, load_after=1.94, answer='{"bytes": 7}')
    missed = Finding(
        name="panels",
        command="run panels",
        seconds=9,
        load_before=0,
        load_after=0,
        answer='{"goals": []}',
        missed="not met: others: 1.10 s",
    )
    failed = Finding(
        name="lag", command="run lag", seconds=2, load_before=0, load_after=0, answer="half an", failure="it fell over"
    )
    return RunPage(machine=MACHINE, began=datetime(2026, 11, 23, 6, 15, tzinfo=UTC), findings=[done, missed, failed])


def test_page_shows_machine_time_command_and_load(page: RunPage) -> None:
    lines = page.render(markdown=True).splitlines()
    assert lines[0] == (
        "2026-11-23 06:15 UTC, 2 cores of Abacus, 24 GB, Linux 6, Python 3.11.7, "
        "inferlog 0.1.0, structlog 26.1.0 at abc1234"
    )
    assert "## disk" in lines
    assert "`run disk`: 61 s, load 0.5 before and 1.9 after" in lines
    assert "it fell over" in lines


def test_json_page_contains_answers_unchanged(page: RunPage) -> None:
    page.left_out = ["panels"]
    read = orjson.loads(orjson.dumps(page.build_json()))
    assert [finding["answer"] for finding in read["benchmarks"]] == [{"bytes": 7}, {"goals": []}, None]
    assert [finding["missed"] for finding in read["benchmarks"]] == [
        None,
        "not met: others: 1.10 s",
        None,
    ]
    assert read["benchmarks"][2]["failure"] == "it fell over"
    assert read["machine"]["cores"] == 2
    assert read["left_out"] == ["panels"]


def test_machine_describes_this_machine() -> None:
    machine = Machine.describe_this()
    assert machine.cores >= 1
    assert machine.processor
    assert {"inferlog", "Elasticsearch", "structlog"} <= machine.versions.keys()
