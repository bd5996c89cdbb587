"""Processes of one trial: service, shipper and load, on an engine that trials share."""

import json
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field

from inferlog_ops.core.children import build_module_command
from inferlog_ops.core.cluster import Cluster
from inferlog_ops.core.progress import ReportProgress
from inferlog_ops.provision.elasticsearch import provision_cluster
from inferlog_ops.ship.shipper import build_ship_command
from tests import ROOT
from tests.chaos.engine import Engine
from tests.chaos.hardlinks import keep_linking, link_now
from tests.chaos.processes import ChaosProcess
from tests.chaos.proxy import Proxy
from tests.chaos.trial_dirs import TrialDirs

WORKERS = 2
_READY_SECONDS = 60.0
_HEARTBEAT_SECONDS = 1.0
# Fast and without randomness, so that the latency added by a fault is visible.
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
    Targets of the faults.

    Attributes:
        dirs: Directories of the trial.
        engine: Elasticsearch.
        proxy: Proxy between shipper and engine.
        through_proxy: Whether the shipper connects through the proxy.
        cluster: The engine itself, and the trial's namespace.
        server: The service, with several workers.
        shipper: Current process of ``inferlog ship``.
        load: Process that sends the requests.
        report: Receives progress messages.
        removed: Names of log files that a fault has deleted before they were shipped.
    """

    dirs: TrialDirs
    engine: Engine
    proxy: Proxy
    through_proxy: bool
    cluster: Cluster
    server: ChaosProcess
    load: ChaosProcess
    report: ReportProgress
    shipper: ChaosProcess = field(init=False)
    removed: set[str] = field(default_factory=set)
    _shippers: int = 0

    def start_shipper(self, *options: str) -> None:
        """Start a shipper on the existing state; *options* replace its heartbeat option."""
        self._shippers += 1
        self.shipper = ChaosProcess(
            f"shipper-{self._shippers}",
            [
                *build_ship_command(logs=self.dirs.logs, state=self.dirs.state, namespace=self.cluster.namespace),
                *("--to", self.proxy.url if self.through_proxy else self.cluster.url),
                *(options or ("--heartbeat", str(_HEARTBEAT_SECONDS))),
            ],
            output=self.dirs.output,
        )

    def check(self) -> None:
        """Raise OperatorError if a process has ended without being killed by a fault."""
        for process in (self.server, self.load, self.shipper):
            process.check()

    def keep_files(self) -> None:
        """Link all log files now, before one is deleted."""
        link_now(self.dirs.logs, self.dirs.kept)


@contextmanager
def run_stack(
    *,
    dirs: TrialDirs,
    engine: Engine,
    proxy: Proxy,
    through_proxy: bool,
    cluster: Cluster,
    settings: Mapping[str, str],
    rate: float,
    report: ReportProgress,
) -> Iterator[Stack]:
    """
    Run a stack under load until the end of the block, then stop its processes.

    Args:
        dirs: Directories of the trial.
        engine: Running engine.
        proxy: Running proxy.
        through_proxy: Whether the shipper connects through the proxy.
        cluster: The engine and an unused namespace; provisioned here.
        settings: Additional environment of the service.
        rate: Requests per second.
        report: Receives progress messages.
    """
    with ExitStack() as cleanup:
        cleanup.enter_context(keep_linking(dirs.logs, dirs.kept))
        server = _start_server(dirs, settings)
        cleanup.callback(server.stop)
        provision_cluster(cluster)  # in parallel with the service's start
        url = _wait_for_url(server, dirs)
        load = ChaosProcess(
            "load",
            build_module_command("tests.chaos.load", url, str(rate), str(dirs.records)),
            output=dirs.output,
            environment={"PYTHONPATH": str(ROOT)},
        )
        cleanup.callback(load.stop)
        stack = Stack(
            dirs=dirs,
            engine=engine,
            proxy=proxy,
            through_proxy=through_proxy,
            cluster=cluster,
            server=server,
            load=load,
            report=report,
        )
        stack.start_shipper()
        cleanup.callback(lambda: stack.shipper.stop())  # noqa: PLW0108 (the current shipper)
        stack.shipper.wait_until(dirs.positions.exists, timeout_seconds=_READY_SECONDS)
        yield stack


def _start_server(dirs: TrialDirs, settings: Mapping[str, str]) -> ChaosProcess:
    environment = {
        "INFERLOG_SERVICE_NAME": "chaos",
        "INFERLOG_LOG_DIR": str(dirs.logs),
        "INFERLOG_HEARTBEAT_SECONDS": str(_HEARTBEAT_SECONDS),
        "INFERLOG_SERVER_VERSIONS": _VERSIONS,
        **settings,
    }
    return ChaosProcess(
        "server",
        build_module_command(
            *("inferlog_server", "--backend", "simulated", "--port", "0"),
            *("--workers", str(WORKERS), "--ready-file", str(dirs.ready_file)),
        ),
        output=dirs.output,
        environment=environment,
    )


def _wait_for_url(server: ChaosProcess, dirs: TrialDirs) -> str:
    """Return the address of *server*, once all of its workers run."""
    url = server.wait_for_url(dirs.ready_file, timeout_seconds=_READY_SECONDS)
    server.wait_until(lambda: len(server.list_workers()) == WORKERS, timeout_seconds=_READY_SECONDS)
    return url
