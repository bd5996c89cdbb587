"""The command as a user runs it."""

import json
import signal
import socket
from pathlib import Path

import pytest
import urllib3

from inferlog_ops.core.cluster import Cluster
from tests.support.commands import begin, run
from tests.support.polling import wait_until


def test_preview_prints_its_address_and_stops_on_ctrl_c(tmp_path: Path, empty: Cluster) -> None:
    ready = tmp_path / "preview.json"
    where = ("--url", empty.url, "--namespace", empty.namespace)
    process = begin("preview", "--port", 0, "--no-open", "--ready-file", ready, *where)
    try:
        wait_until(ready.exists, timeout_seconds=60, what="the page")
        announced = json.loads(ready.read_text())
        assert announced["pid"] == process.pid
        host, port = announced["url"].removeprefix("http://").split(":")
        assert host == "127.0.0.1"
        page = urllib3.request("GET", announced["url"])
        assert page.status == 200
        assert urllib3.request("GET", f"{announced['url']}/api/status").json()["problem"] is None
        with pytest.raises(OSError):  # noqa: PT011 (whichever: nobody else can reach it)
            socket.create_connection((find_own_address(), int(port)), timeout=2).close()
    finally:
        process.send_signal(signal.SIGINT)
        printed, said = process.communicate(timeout=30)
    assert process.returncode == 0
    assert printed.strip() == announced["url"]
    assert f"Dashboards from {empty.url}. Ctrl-C stops the server." in said
    assert "Traceback" not in said
    assert not ready.exists()


def find_own_address() -> str:
    """Return an external address of this machine, or an unused one."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))  # sends nothing
        except OSError:
            return "192.0.2.1"
        return str(probe.getsockname()[0])


def test_port_in_use_is_reported_in_one_sentence() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = run("preview", "--url", "http://127.0.0.1:1", "--port", port)
    assert done.returncode == 1
    assert done.stderr == (
        f"inferlog: cannot listen on 127.0.0.1 port {port}: Address already in use; choose another port with --port, "
        "or 0 for a free one\n"
    )


def test_preview_names_the_option_without_an_elasticsearch(tmp_path: Path) -> None:
    done = run("preview", "--home", tmp_path)
    assert done.returncode == 2
    assert "no Elasticsearch address" in done.stderr


@pytest.mark.parametrize("arguments", [("--namespace", "Ä"), ("--port", "99999")])
def test_preview_rejects_wrong_options(arguments: tuple[str, str]) -> None:
    done = run("preview", "--url", "http://127.0.0.1:1", *arguments)
    assert done.returncode == 2
    assert "Traceback" not in done.stderr


def test_unwritable_ready_file_is_reported_in_one_sentence(tmp_path: Path) -> None:
    done = run("preview", "--url", "http://127.0.0.1:1", "--port", 0, "--ready-file", tmp_path / "no" / "file")
    assert done.returncode == 1
    assert "cannot be written: No such file or directory" in done.stderr
