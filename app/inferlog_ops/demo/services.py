"""Starts what the demo needs, each a process of its own, and ends what it started in the right order."""

import fcntl
import json
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

from inferlog_ops.core.children import Child, python_module
from inferlog_ops.core.cluster import Cluster
from inferlog_ops.core.errors import OperatorError
from inferlog_ops.core.home import Home
from inferlog_ops.core.progress import Say
from inferlog_ops.demo.page import Page, start_page
from inferlog_ops.engine import control
from inferlog_ops.provision.elasticsearch import provision_cluster
from inferlog_ops.ship.starting import ship_command

SERVICE_NAME = "demo"
MODEL = "smollm2-135m-instruct"
_SERVER_READY_SECONDS = 120.0
# Long enough for a slow machine's ordinary answers, short enough that the demo's longest stories run into it.
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

# Made up, in dollars per million tokens, so that the panels of costs have something to show.
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
    What runs.

    Attributes:
        cluster: Where the events go.
        server_url: Where the inference service answers.
        server: Its process.
        shipper: The process that ships its files.
        page: The dashboards, if they are wanted. Nothing else depends on them.
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
def held(home: Home) -> Iterator[None]:
    """
    Keep a second demo away from *home*.

    Raises:
        OperatorError: If one runs there, or the directory cannot be made.
    """
    try:
        for directory in (home.root, home.logs, home.output):
            directory.mkdir(parents=True, exist_ok=True)
        lock = (home.root / "demo.lock").open("a")
    except OSError as error:
        raise OperatorError(f"{error.filename}: {error.strerror}; choose another directory with --home") from error
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise OperatorError(
                f"{home.root} is in use by another demo; end that one, or choose another directory with --home"
            ) from None
        yield


@contextmanager
def running(
    home: Home, cluster: Cluster | None, *, backend: str, port: int, namespace: str, with_page: bool, say: Say
) -> Iterator[Services]:
    """
    Run engine, server and shipper on *home* until the block ends.

    Args:
        home: Where all data lies.
        cluster: Used instead of the embedded engine; None starts that one, unless it runs already.
        backend: ``llama`` or ``simulated``.
        port: Of the inference service; 0 takes any free one.
        namespace: Of the data streams in the embedded engine.
        with_page: Show the dashboards, too; the model is loaded meanwhile.
        say: Is told what is being waited for.

    Raises:
        OperatorError: If something does not come up.
    """
    with ExitStack() as cleanup:
        if cluster is None:
            cluster = Cluster(url=_engine(home, cleanup, say), namespace=namespace)
        provision_cluster(cluster, on_progress=say)
        shipper = _shipper(home, cluster)
        # Ended last but for the engine: it ships what the server writes while it ends.
        cleanup.callback(shipper.stop)
        page = start_page(home, cluster, any_port=port == 0) if with_page else None
        if page is not None:
            cleanup.callback(page.child.stop)
        say("loading the model" if backend == "llama" else "starting the service")
        server, server_url = _server(home, cleanup, backend=backend, port=port)
        cleanup.callback(say, "stopping what was started")
        yield Services(cluster=cluster, server_url=server_url, server=server, shipper=shipper, page=page)


def _engine(home: Home, cleanup: ExitStack, say: Say) -> str:
    url = control.running_url(home.engine)
    if url is None:
        url = control.start(home.engine, 0, say, ends_with_us=True).url
        cleanup.callback(control.stop, home.engine)
    return url


def _shipper(home: Home, cluster: Cluster) -> Child:
    command = ship_command(logs=home.logs, state=home.shipper_state, namespace=cluster.namespace)
    # The home's positions may be about an engine whose data were deleted since, or about another cluster.
    command.append("--replay")
    return Child("shipper", command, output=home.output, environment=cluster.as_environment())


def _server(home: Home, cleanup: ExitStack, *, backend: str, port: int) -> tuple[Child, str]:
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
    command = python_module(
        "inferlog_server", "--backend", backend, "--port", str(port), "--ready-file", str(ready_file)
    )
    server = Child("server", command, output=home.output, environment=environment)
    cleanup.callback(server.stop)
    return server, server.url_in(ready_file, timeout_seconds=_SERVER_READY_SECONDS)
