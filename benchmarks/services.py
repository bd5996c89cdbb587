"""Variants of the example service: without logging, with it, and with prometheus_client."""

import json
import re
import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmarks import real_fluentd
from inferlog_ops.core.children import Child, build_module_command

MODEL = "smollm2-135m-instruct"
NO_TIME = {"first_token_median_seconds": 0, "token_median_seconds": 0, "sigma": 0}
VERSIONS = json.dumps([{"name": "instant", "simulated": NO_TIME}, {"name": "paced"}])
OFF, FILE, FORWARD, PROMETHEUS, OFF_AGAIN = SERVICES = ("off", "file", "forward", "prometheus_client", "off again")
READY_SECONDS = 60.0
READY_FILE = "ready.json"

TO_NOWHERE = """
<source>
  @type forward
  bind 127.0.0.1
  port {port}
</source>
<match **>
  @type null
</match>
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunningService:
    """Address and process id of a running service."""

    url: str
    pid: int


@contextmanager
def run_services(directory: Path) -> Iterator[dict[str, RunningService]]:
    """Run each of `SERVICES` with its files in *directory* until the end of the block."""
    with ExitStack() as running:
        port = running.enter_context(run_receiver(directory))
        with_forward = {
            "INFERLOG_SINKS": "forward",
            "INFERLOG_FORWARD_HOST": "127.0.0.1",
            "INFERLOG_FORWARD_PORT": str(port),
        }
        example = build_module_command("inferlog_server")
        with_prometheus = [sys.executable, "-m", "benchmarks.prometheus_service"]

        def start(name: str, command: list[str], environment: Mapping[str, str] | None = None) -> RunningService:
            return running.enter_context(run_example(name, command, directory, environment))

        yield {
            OFF: start(OFF, [*example, "--logging=false"]),
            FILE: start(FILE, example),
            FORWARD: start(FORWARD, example, with_forward),
            PROMETHEUS: start(PROMETHEUS, [*with_prometheus, "--logging=false"]),
            OFF_AGAIN: start(OFF_AGAIN, [*example, "--logging=false"]),
        }


@contextmanager
def run_example(
    name: str, command: list[str], directory: Path, environment: Mapping[str, str] | None
) -> Iterator[RunningService]:
    home = directory / name.replace(" ", "-")
    home.mkdir()
    options = ["--backend=simulated", "--port=0", f"--versions={VERSIONS}", f"--ready-file={home / READY_FILE}"]
    settings = {"INFERLOG_LOG_DIR": str(home / "logs"), **(environment or {})}
    with run_service([*command, *options], home, settings) as service:
        yield service


@contextmanager
def run_service(
    command: list[str], home: Path, environment: Mapping[str, str] | None = None
) -> Iterator[RunningService]:
    """Run *command*, which writes its address to `READY_FILE` in *home*, until the end of the block."""
    child = Child("service", command, output=home, environment=environment)
    try:
        yield RunningService(url=child.wait_for_url(home / READY_FILE, timeout_seconds=READY_SECONDS), pid=child.pid)
    finally:
        child.stop()


@contextmanager
def run_receiver(directory: Path) -> Iterator[int]:
    """Yield the port of a receiver of the forward protocol: Fluentd if installed."""
    if real_fluentd.is_installed():
        port = real_fluentd.find_free_port()
        configuration = directory / "fluent.conf"
        configuration.write_text(TO_NOWHERE.format(port=port))
        with real_fluentd.run_fluentd(configuration, directory, {}):
            yield port
        return
    child = Child("receiver", [sys.executable, "-m", "benchmarks.forward_receiver"], output=directory)
    try:
        child.wait_until(lambda: find_port(child) is not None, timeout_seconds=READY_SECONDS)
        yield find_port(child) or 0
    finally:
        child.stop()


def find_port(child: Child) -> int | None:
    found = re.search(r"^port (\d+)\n", child.output_file.read_text(), re.MULTILINE)
    return int(found[1]) if found else None
