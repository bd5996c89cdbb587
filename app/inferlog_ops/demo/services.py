"""Child processes of the demo: engine, shipper, server and dashboards, stopped in reverse order."""

import json
import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from inferlog_ops.core.children import Child, build_module_command
from inferlog_ops.core.cluster import Cluster
from inferlog_ops.core.errors import OperatorError
from inferlog_ops.core.files import try_lock
from inferlog_ops.core.home import Home
from inferlog_ops.core.progress import ReportProgress
from inferlog_ops.engine import control
from inferlog_ops.preview.address import DEFAULT_PORT, HOST
from inferlog_ops.provision.elasticsearch import provision_cluster
from inferlog_ops.ship.shipper import build_ship_command

_TIMEOUT_SECONDS = 30.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """
    Process of the dashboards' page.

    Attributes:
        child: The process.
        ready_file: File that the process writes when the page is available.
    """

    child: Child
    ready_file: Path

    def wait_for_url(self) -> str:
        """
        Wait until the page is available and return its URL.

        Raises:
            OperatorError: If the process has ended, or is not ready in time.
        """
        return self.child.wait_for_url(self.ready_file, timeout_seconds=_TIMEOUT_SECONDS)


def start_page(home: Home, cluster: Cluster, *, any_port: bool) -> Page:
    """Start the dashboards' page on its default port, or on a free one if that is in use or *any_port* is set."""
    ready_file = home.output / "preview.ready.json"
    with suppress(OSError):  # the page reports any problem with this file itself
        ready_file.unlink(missing_ok=True)
    port = 0 if any_port or not _is_free(DEFAULT_PORT) else DEFAULT_PORT
    command = build_module_command(
        "inferlog_ops.cli.main",
        *("preview", "--no-open", "--port", str(port), "--ready-file", str(ready_file)),
        *("--namespace", cluster.namespace),
    )
    child = Child("preview", command, output=home.output, environment=cluster.as_environment())
    return Page(child=child, ready_file=ready_file)


def _is_free(port: int) -> bool:
    try:
        socket.create_server((HOST, port)).close()
    except OSError:
        return False
    return True


SERVICE_NAME = "demo"
MODEL = "smollm2-135m-instruct"
_SERVER_READY_SECONDS = 120.0
# Long enough for normal answers on a slow machine, short enough for the demo's longest stories to exceed it.
_DEADLINE_SECONDS = 15.0
_SIMULATED_VERSIONS = json.dumps(
    [
        {"name": "v1", "share": 80},
        {
            "name": "v2",
            "share": 20,
            "simulated": {"first_token_median_seconds": 0.04, "output_tokens_median": 80, "failure_share": 0.02},
        },
    ]
)

# Example prices in USD per million tokens, for the cost panels.
_PRICES = json.dumps(
    {
        MODEL: {
            "v1": {"input_usd_per_million_tokens": 0.1, "output_usd_per_million_tokens": 0.4},
            "v2": {"input_usd_per_million_tokens": 0.2, "output_usd_per_million_tokens": 0.8},
        }
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Services:
    """
    Running processes of the demo.

    Attributes:
        cluster: Destination of the events.
        server_url: URL of the inference service.
        server: Process of the inference service.
        shipper: Process of the shipper.
        page: Process of the dashboards, if enabled; nothing else depends on it.
    """

    cluster: Cluster
    server_url: str
    server: Child
    shipper: Child
    page: Page | None

    def check(self) -> None:
        """Raise OperatorError if one of the processes has ended."""
        self.server.check()
        self.shipper.check()


@contextmanager
def hold_lock(home: Home) -> Iterator[None]:
    """
    Lock *home* against a second demo.

    Raises:
        OperatorError: If another demo runs there, or the directory cannot be created.
    """
    try:
        for directory in (home.root, home.logs, home.output):
            directory.mkdir(parents=True, exist_ok=True)
        lock = (home.root / "demo.lock").open("a")
    except OSError as error:
        raise OperatorError(f"{error.filename}: {error.strerror}; choose another directory with --home") from error
    with lock:
        if not try_lock(lock):
            raise OperatorError(
                f"{home.root} is in use by another demo; stop it, or choose another directory with --home"
            ) from None
        yield


@contextmanager
def start_services(
    home: Home,
    cluster: Cluster | None,
    *,
    backend: str,
    port: int,
    namespace: str,
    with_page: bool,
    report: ReportProgress,
) -> Iterator[Services]:
    """
    Run engine, server and shipper on *home* until the block ends.

    Args:
        home: Directory of all data.
        cluster: Cluster to use instead of the embedded engine; None starts the engine, unless it already runs.
        backend: ``llama`` or ``simulated``.
        port: Port of the inference service; 0 selects a free one.
        namespace: Namespace of the data streams in the embedded engine.
        with_page: Also serve the dashboards, while the model loads.
        report: Progress callback.

    Raises:
        OperatorError: If a process does not start.
    """
    with ExitStack() as cleanup:
        if cluster is None:
            cluster = Cluster(url=_start_engine(home, cleanup, report), namespace=namespace)
        provision_cluster(cluster, on_progress=report)
        shipper = _start_shipper(home, cluster)
        # Stopped after the server: it ships the events that the server writes while it stops.
        cleanup.callback(shipper.stop)
        page = start_page(home, cluster, any_port=port == 0) if with_page else None
        if page is not None:
            cleanup.callback(page.child.stop)
        report("loading the model" if backend == "llama" else "starting the service")
        server, server_url = _start_server(home, cleanup, backend=backend, port=port)
        cleanup.callback(report, "stopping the demo's processes")
        yield Services(cluster=cluster, server_url=server_url, server=server, shipper=shipper, page=page)


def _start_engine(home: Home, cleanup: ExitStack, report: ReportProgress) -> str:
    url = control.find_running_url(home.engine)
    if url is None:
        url = control.start(home.engine, 0, report, ends_with_us=True).url
        cleanup.callback(control.stop, home.engine)
    return url


def _start_shipper(home: Home, cluster: Cluster) -> Child:
    command = build_ship_command(logs=home.logs, state=home.shipper_state, namespace=cluster.namespace)
    # The saved offsets may belong to an engine whose data were deleted, or to another cluster.
    command.append("--replay")
    return Child("shipper", command, output=home.output, environment=cluster.as_environment())


def _start_server(home: Home, cleanup: ExitStack, *, backend: str, port: int) -> tuple[Child, str]:
    ready_file = home.output / "server.ready.json"
    ready_file.unlink(missing_ok=True)
    price_file = home.output / "prices.json"
    price_file.write_text(_PRICES)
    environment = {
        "INFERLOG_SERVICE_NAME": SERVICE_NAME,
        "INFERLOG_LOG_DIR": str(home.logs),
        "INFERLOG_PRICE_FILE": str(price_file),
        "INFERLOG_SERVER_CLIENT_ID_HEADER": "authorization",
        "INFERLOG_SERVER_DEADLINE_SECONDS": str(_DEADLINE_SECONDS),
    }
    if backend == "simulated":
        environment["INFERLOG_SERVER_VERSIONS"] = _SIMULATED_VERSIONS
    command = build_module_command(
        "inferlog_server", "--backend", backend, "--port", str(port), "--ready-file", str(ready_file)
    )
    server = Child("server", command, output=home.output, environment=environment)
    cleanup.callback(server.stop)
    return server, server.wait_for_url(ready_file, timeout_seconds=_SERVER_READY_SECONDS)
