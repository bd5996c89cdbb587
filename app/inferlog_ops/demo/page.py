"""The demo's dashboards in a browser: an extra, without which everything else runs on."""

import socket
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from inferlog_ops.core.children import Child, python_module
from inferlog_ops.core.cluster import Cluster
from inferlog_ops.core.home import Home
from inferlog_ops.preview.address import DEFAULT_PORT, HOST

_PATIENCE_SECONDS = 30.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """
    The process that serves the page.

    Attributes:
        child: It.
        ready_file: Written by it once it answers.
    """

    child: Child
    ready_file: Path

    def url(self) -> str:
        """
        Return where the page can be opened, as soon as it can.

        Raises:
            OperatorError: If the process has ended, or is not ready in time.
        """
        return self.child.url_in(self.ready_file, timeout_seconds=_PATIENCE_SECONDS)


def start_page(home: Home, cluster: Cluster, *, any_port: bool) -> Page:
    """Start serving the dashboards about *cluster*: at the usual port, unless it is in use or *any_port* is as good."""
    ready_file = home.output / "preview.ready.json"
    with suppress(OSError):  # whatever is wrong with it, the page itself will say
        ready_file.unlink(missing_ok=True)
    port = 0 if any_port or not _is_free(DEFAULT_PORT) else DEFAULT_PORT
    command = python_module(
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
