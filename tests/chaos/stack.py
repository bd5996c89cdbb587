"""The real processes of one scenario: service, shipper and load, on an engine that many scenarios share."""

import json
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field

from inferlog_ops.core.children import python_module
from inferlog_ops.core.cluster import Cluster
from inferlog_ops.core.progress import Say
from inferlog_ops.provision.elasticsearch import provision_cluster
from inferlog_ops.ship.starting import ship_command
from tests import ROOT
from tests.chaos.dirs import Dirs
from tests.chaos.engine import Engine
from tests.chaos.hardlinks import keep_now, keeping
from tests.chaos.processes import ChaosProcess
from tests.chaos.proxy import Proxy

WORKERS = 2
_READY_SECONDS = 60.0
_HEARTBEAT_SECONDS = 1.0
# Quick, so that what a fault adds shows; and no randomness beyond the machine's own.
_VERSIONS = json.dumps(
    [
        {
            "name": "v1",
            "simulated": {
                "first_token_median_seconds": 0.005,
                "token_median_seconds": 0.0005,
                "output_tokens_median": 10,
                "sigma": 0,
            },
        }
    ]
)


@dataclass(slots=True, kw_only=True)
class Stack:
    """
    What a fault may break.

    Attributes:
        place: The scenario's directories.
        engine: Elasticsearch.
        proxy: Between shipper and engine, for the faults that need one there.
        through_proxy: Whether the shipper goes through it.
        cluster: The engine itself, and the scenario's namespace.
        server: The service, with several workers.
        shipper: ``inferlog ship``, as it was started last.
        load: Sends the requests.
        say: Is told what is being waited for.
        removed: Names of log files that a fault has deleted before they were shipped.
    """

    place: Dirs
    engine: Engine
    proxy: Proxy
    through_proxy: bool
    cluster: Cluster
    server: ChaosProcess
    load: ChaosProcess
    say: Say
    shipper: ChaosProcess = field(init=False)
    removed: set[str] = field(default_factory=set)
    _shippers: int = 0

    def start_shipper(self, *options: str) -> None:
        """Start a shipper on the state that the last one has left; with *options* instead of its heartbeat, if any."""
        self._shippers += 1
        self.shipper = ChaosProcess(
            f"shipper-{self._shippers}",
            [
                *ship_command(logs=self.place.logs, state=self.place.state, namespace=self.cluster.namespace),
                *("--to", self.proxy.url if self.through_proxy else self.cluster.url),
                *(options or ("--heartbeat", str(_HEARTBEAT_SECONDS))),
            ],
            output=self.place.output,
        )

    def check(self) -> None:
        """Raise OperatorError if a process has ended that no fault has killed."""
        for process in (self.server, self.load, self.shipper):
            process.check()

    def keep_files(self) -> None:
        """Make sure of the second names: something is about to be deleted."""
        keep_now(self.place.logs, self.place.kept)


@contextmanager
def running(
    *,
    place: Dirs,
    engine: Engine,
    proxy: Proxy,
    through_proxy: bool,
    cluster: Cluster,
    settings: Mapping[str, str],
    rate: float,
    say: Say,
) -> Iterator[Stack]:
    """
    Run a stack under load until the end of the block; end what still runs by then.

    Args:
        place: Its directories.
        engine: Runs.
        proxy: Runs.
        through_proxy: Whether the shipper goes through it.
        cluster: The engine and a namespace that nobody else uses; provisioned here.
        settings: More of the service's environment.
        rate: Requests per second.
        say: Is told what is being waited for.
    """
    with ExitStack() as cleanup:
        cleanup.enter_context(keeping(place.logs, place.kept))
        server = _server(place, settings)
        cleanup.callback(server.stop)
        provision_cluster(cluster)  # takes as long as the service's start
        url = _url(server, place)
        load = ChaosProcess(
            "load",
            python_module("tests.chaos.load", url, str(rate), str(place.records)),
            output=place.output,
            environment={"PYTHONPATH": str(ROOT)},
        )
        cleanup.callback(load.stop)
        stack = Stack(
            place=place,
            engine=engine,
            proxy=proxy,
            through_proxy=through_proxy,
            cluster=cluster,
            server=server,
            load=load,
            say=say,
        )
        stack.start_shipper()
        cleanup.callback(lambda: stack.shipper.stop())  # noqa: PLW0108 (whichever runs by then)
        stack.shipper.wait_until(place.positions.exists, timeout_seconds=_READY_SECONDS)
        yield stack


def _server(place: Dirs, settings: Mapping[str, str]) -> ChaosProcess:
    environment = {
        "INFERLOG_SERVICE_NAME": "chaos",
        "INFERLOG_LOG_DIR": str(place.logs),
        "INFERLOG_HEARTBEAT_SECONDS": str(_HEARTBEAT_SECONDS),
        "INFERLOG_SERVER_VERSIONS": _VERSIONS,
        **settings,
    }
    return ChaosProcess(
        "server",
        python_module(
            *("inferlog_server", "--backend", "simulated", "--port", "0"),
            *("--workers", str(WORKERS), "--ready-file", str(place.ready_file)),
        ),
        output=place.output,
        environment=environment,
    )


def _url(server: ChaosProcess, place: Dirs) -> str:
    """Return where *server* answers, once all of its workers are there."""
    url = server.url_in(place.ready_file, timeout_seconds=_READY_SECONDS)
    server.wait_until(lambda: len(server.workers()) == WORKERS, timeout_seconds=_READY_SECONDS)
    return url
