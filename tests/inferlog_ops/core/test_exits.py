"""Output of a command that cannot be written, or not in the encoding of stdout."""

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from uuid import uuid4

import pytest

from inferlog_ops.core.cluster import Cluster
from inferlog_ops.provision.elasticsearch import provision_cluster
from tests.support.indexing import index

INFERLOG = (sys.executable, "-m", "inferlog_ops.cli.main")
VERSION = "v\u00e9\u4e2d\U0001f600"
ESCAPED = r"v\xe9\u4e2d\U0001f600"
RANGE = ("--from", "2026-11-23T06:00:00Z", "--to", "2026-11-23T06:10:00Z")
SENTENCE = "inferlog: the output cannot be written: No space left on device\n"


@pytest.fixture(scope="module")
def one_event(engine_url: str) -> Cluster:
    cluster = Cluster(url=engine_url, namespace=f"t{uuid4().hex[:15]}")
    provision_cluster(cluster)
    event = {
        "@timestamp": "2026-11-23T06:05:00Z",
        "event": {"id": "e1", "sequence": 0},
        "service": {"name": "scoring", "instance": {"id": "i"}},
        "correlation_id": "c",
        "model_version": VERSION,
        "status": "success",
        "latency_seconds": 0.25,
    }
    index(cluster, "events", [event])
    return cluster


def run(arguments: Sequence[object], stdout: str, cluster: Cluster | None = None) -> subprocess.CompletedProcess[bytes]:
    options = [] if cluster is None else ["--namespace", cluster.namespace]
    environment = {**os.environ, "ELASTICSEARCH_URL": cluster.url if cluster else ""}
    with Path(stdout).open("wb") as output:
        return subprocess.run(
            [*INFERLOG, *map(str, arguments), *options],
            stdout=output,
            stderr=subprocess.PIPE,
            env=environment,
            check=False,
        )


@pytest.mark.parametrize(
    "arguments",
    [
        ["query", "p99_latency", *RANGE, "--json"],
        ["query", "p99_latency", *RANGE, "--csv"],
        ["query", "p99_latency", *RANGE],
        ["alerts", "check", "--json", "--at", "2026-11-23T06:10:00Z"],
        ["audit", "verify"],
        ["trace", "c"],
        ["summarize", "--to", "2026-11-23T06:10:00Z"],
        ["provision"],
    ],
    ids=lambda arguments: " ".join(arguments[:2]) + "".join(arguments[-1:]),
)
def test_command_reports_a_full_disk_in_one_sentence(arguments: list[str], one_event: Cluster) -> None:
    done = run(arguments, "/dev/full", one_event)
    # No command uses this code for a result, as it does 1.
    assert done.returncode == os.EX_IOERR
    assert done.stderr.decode().endswith(SENTENCE)
    assert b"Traceback" not in done.stderr


@pytest.mark.parametrize("arguments", [["--help"], ["--version"], ["query"], ["alerts", "list", "--json"]], ids=str)
def test_command_without_a_cluster_reports_a_full_disk_in_one_sentence(arguments: list[str]) -> None:
    done = run(arguments, "/dev/full")
    assert (done.returncode, done.stderr.decode()) == (os.EX_IOERR, SENTENCE)


def test_shipper_reports_a_full_disk_in_one_sentence(one_event: Cluster, tmp_path: Path) -> None:
    (tmp_path / "logs").mkdir()
    folders = ["--from", tmp_path / "logs", "--state", tmp_path / "state"]
    done = run(["ship", "--once", "--json", *folders], "/dev/full", one_event)
    assert done.returncode == os.EX_IOERR
    assert done.stderr.decode().endswith(SENTENCE)
    assert b"Traceback" not in done.stderr


def run_with_encoding(encoding: str, cluster: Cluster, *arguments: str) -> str:
    done = subprocess.run(
        [*INFERLOG, *arguments, "--url", cluster.url, "--namespace", cluster.namespace],
        capture_output=True,
        env={**os.environ, "PYTHONIOENCODING": encoding},
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, b"")
    return done.stdout.decode(encoding)


@pytest.mark.parametrize(
    "arguments", [["query", "p99_latency", *RANGE], ["query", "p99_latency", *RANGE, "--csv"], ["trace", "c"]]
)
def test_characters_that_the_encoding_lacks_are_escaped(arguments: list[str], one_event: Cluster) -> None:
    assert ESCAPED in run_with_encoding("ascii", one_event, *arguments)
    assert VERSION in run_with_encoding("utf-8", one_event, *arguments)


def test_closed_stdout_discards_the_output(one_event: Cluster) -> None:
    command = [*INFERLOG, "query", "p99_latency", "--json", "--url", one_event.url, "--namespace", one_event.namespace]
    done = subprocess.run(["sh", "-c", 'exec "$@" >&-', "sh", *command], stderr=subprocess.PIPE, check=False)
    assert (done.returncode, done.stderr) == (0, b"")


def test_reader_that_closes_the_pipe_ends_the_command_quietly() -> None:
    read, write = os.pipe()
    os.close(read)
    done = subprocess.run([*INFERLOG, "query"], stdout=write, stderr=subprocess.PIPE, check=False)
    os.close(write)
    assert done.returncode != 0
    assert done.stderr == b""
