"""
The process of a secured engine: ``python -m tests.support.secured_engine_process <home>``; see `run_secured_engine`.

Writes its address into a file when it is ready, and exits on SIGTERM.
"""

import os
import signal
import sys
from pathlib import Path
from typing import Any

import jpype

from inferlog_ops.engine import node
from inferlog_ops.engine.layout import locate_layout
from tests.support.secured_engine import ADDRESS_FILE, SETTINGS_FILE, load_secured_blueprint

# The index of users requires a tokenizer for e-mail addresses from an unpublished module. E-mail
# addresses are not searched here, so any tokenizer of the same kind is sufficient.
_STANDING_IN = {
    "tokenizers": {"uax_url_email": "standard"},
    "tokenFilters": dict.fromkeys(("pattern_capture", "lowercase", "unique"), "stop"),
}


def main() -> None:
    """Run one engine until SIGTERM."""
    home = Path(sys.argv[1])
    os.chdir(home)
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
    layout = locate_layout(home, load_secured_blueprint())
    node.start_java(layout, home, "512m")
    running = jpype.JClass("org.elasticsearch.node.Node")(_build_environment(home), node._load_plugins(layout))
    _complete_analysis(running)
    running.start()
    draft = home / f"{ADDRESS_FILE}.draft"
    draft.write_text(node.read_url(running).replace("http:", "https:"))
    draft.replace(home / ADDRESS_FILE)
    signal.sigwait({signal.SIGTERM})
    node.close(running)


def _build_environment(home: Path) -> Any:
    jpype.JClass("org.elasticsearch.common.logging.LogConfigurator").configureESLogging()
    keystore = jpype.JClass("org.elasticsearch.common.settings.KeyStoreWrapper").create()
    password = (home / "config/secrets/elastic_password").read_text().strip()
    keystore.setString("bootstrap.password", jpype.JArray(jpype.JChar)(password))
    settings = jpype.JClass("org.elasticsearch.common.settings.Settings").builder()
    settings.loadFromPath(node._to_java_path(home / SETTINGS_FILE))
    settings.setSecureSettings(keystore)
    return jpype.JClass("org.elasticsearch.env.Environment")(settings.build(), node._to_java_path(home / "config"))


def _complete_analysis(running: Any) -> None:
    registry = running.injector().getInstance(jpype.JClass("org.elasticsearch.indices.IndicesService")).getAnalysis()
    for name, missing in _STANDING_IN.items():
        field = registry.getClass().getDeclaredField(name)
        field.setAccessible(True)
        known = jpype.JClass("java.util.HashMap")(field.get(registry))
        for wanted, present in missing.items():
            known.putIfAbsent(wanted, known.get(present))
        field.set(registry, known)


if __name__ == "__main__":
    main()
