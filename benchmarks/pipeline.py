"""Pipeline under load: an engine, a shipper and the example service, each as users run it."""

import json
import secrets
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil

from benchmarks.engines import open_engine_of_home
from inferlog_ops.core.children import Child, build_module_command
from inferlog_ops.core.cluster import Cluster
from inferlog_ops.core.errors import OperatorError
from inferlog_ops.core.home import Home
from inferlog_ops.provision.elasticsearch import provision_cluster
from inferlog_ops.ship.shipper import build_ship_command

SERVICE_NAME = "benchmark"
READY_SECONDS = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class RunningStore:
    """
    Running engine and shipper.

    Attributes:
        home: Directory of both.
        cluster: Target of the events.
        engine_pid: Process id of the engine.
        shipper: Process of the shipper.
    """

    home: Home
    cluster: Cluster
    engine_pid: int
    shipper: Child


@contextmanager
def run_store(home: Home) -> Iterator[RunningStore]:
    """
    Run an engine and a shipper on *home*, and stop the shipper, then the engine.

    An engine that already runs there is used and left running. The events go into their own namespace.

    Raises:
        OperatorError: If *home* contains log files of another run.
    """
    if home.logs.exists():
        raise OperatorError(f"{home.logs} exists: expected a home without log files; choose another with --home")
    for folder in (home.logs, home.output):
        folder.mkdir(parents=True)
    with ExitStack() as cleanup:
        engine = cleanup.enter_context(open_engine_of_home(home))
        cluster = Cluster(url=engine.url, namespace=f"benchmark{secrets.token_hex(4)}")
        provision_cluster(cluster)
        command = build_ship_command(logs=home.logs, state=home.shipper_state, namespace=cluster.namespace)
        shipper = Child("shipper", command, output=home.output, environment=cluster.as_environment())
        cleanup.callback(shipper.stop)
        yield RunningStore(home=home, cluster=cluster, engine_pid=engine.pid, shipper=shipper)


@contextmanager
def run_service(home: Home, *, workers: int, versions: object, library: dict[str, str]) -> Iterator[tuple[str, Child]]:
    """Run the example service with a simulated model; yield its address and its process."""
    ready_file = home.output / "server.ready.json"
    command = build_module_command("inferlog_server", "--backend=simulated", "--port=0", f"--workers={workers}")
    command += [f"--versions={json.dumps(versions)}", f"--ready-file={ready_file}"]
    environment = {"INFERLOG_SERVICE_NAME": SERVICE_NAME, "INFERLOG_LOG_DIR": str(home.logs), **library}
    server = Child("server", command, output=home.output, environment=environment)
    try:
        yield server.wait_for_url(ready_file, timeout_seconds=READY_SECONDS), server
    finally:
        server.stop()


def find_workers(server: Child) -> list[int]:
    """Return the worker processes of a service: its children, or itself."""
    under_it = [
        child for child in psutil.Process(server.pid).children() if "resource_tracker" not in _format_command(child)
    ]
    return sorted(child.pid for child in under_it) or [server.pid]


def _format_command(process: psutil.Process) -> str:
    return " ".join(process.cmdline())


def measure_files(folder: Path, pattern: str = "*") -> tuple[int, int]:
    """Return number and total size of the files in *folder* and its subfolders."""
    sizes = []
    for path in folder.rglob(pattern):
        try:
            if path.is_file():
                sizes.append(path.stat().st_size)
        except FileNotFoundError:
            continue  # deleted meanwhile
    return len(sizes), sum(sizes)
