"""The pipeline that the benchmarks load: an engine, a shipper and the example service, each as users run it."""

import json
import secrets
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil

from benchmarks.engines import engine_of
from inferlog_ops.core.children import Child, python_module
from inferlog_ops.core.cluster import Cluster
from inferlog_ops.core.errors import OperatorError
from inferlog_ops.core.home import Home
from inferlog_ops.provision.elasticsearch import provision_cluster
from inferlog_ops.ship.starting import ship_command

SERVICE_NAME = "benchmark"
READY_SECONDS = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Store:
    """
    A running engine with a shipper before it.

    Attributes:
        home: Where all of it lies.
        cluster: Where the events go.
        engine_pid: The engine's process.
        shipper: The shipper's.
    """

    home: Home
    cluster: Cluster
    engine_pid: int
    shipper: Child


@contextmanager
def running_store(home: Home) -> Iterator[Store]:
    """
    Run an engine and a shipper on *home*; afterwards both have ended, the shipper first.

    An engine that runs there already is used, and left as it is: the events go into a namespace of their own.

    Raises:
        OperatorError: If another run has left log files there, which would be taken for this one's.
    """
    if home.logs.exists():
        raise OperatorError(f"{home.logs} exists: expected a home without log files; choose another with --home")
    for folder in (home.logs, home.output):
        folder.mkdir(parents=True)
    with ExitStack() as cleanup:
        engine = cleanup.enter_context(engine_of(home))
        cluster = Cluster(url=engine.url, namespace=f"benchmark{secrets.token_hex(4)}")
        provision_cluster(cluster)
        command = ship_command(logs=home.logs, state=home.shipper_state, namespace=cluster.namespace)
        shipper = Child("shipper", command, output=home.output, environment=cluster.as_environment())
        cleanup.callback(shipper.stop)
        yield Store(home=home, cluster=cluster, engine_pid=engine.pid, shipper=shipper)


@contextmanager
def running_service(
    home: Home, *, workers: int, versions: object, library: dict[str, str]
) -> Iterator[tuple[str, Child]]:
    """Run the example service with a simulated model; give its address and its process."""
    ready_file = home.output / "server.ready.json"
    command = python_module("inferlog_server", "--backend=simulated", "--port=0", f"--workers={workers}")
    command += [f"--versions={json.dumps(versions)}", f"--ready-file={ready_file}"]
    environment = {"INFERLOG_SERVICE_NAME": SERVICE_NAME, "INFERLOG_LOG_DIR": str(home.logs), **library}
    server = Child("server", command, output=home.output, environment=environment)
    try:
        yield server.url_in(ready_file, timeout_seconds=READY_SECONDS), server
    finally:
        server.stop()


def workers_of(server: Child) -> list[int]:
    """Return the processes of a service that answer requests: itself, or those under it."""
    under_it = [child for child in psutil.Process(server.pid).children() if "resource_tracker" not in _command(child)]
    return sorted(child.pid for child in under_it) or [server.pid]


def _command(process: psutil.Process) -> str:
    return " ".join(process.cmdline())


def files_and_bytes(folder: Path, pattern: str = "*") -> tuple[int, int]:
    """Return how many files *folder* holds, those beneath it included, and their length together."""
    sizes = []
    for path in folder.rglob(pattern):
        try:
            if path.is_file():
                sizes.append(path.stat().st_size)
        except FileNotFoundError:
            continue  # deleted meanwhile
    return len(sizes), sum(sizes)
