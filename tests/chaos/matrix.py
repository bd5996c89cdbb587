"""Series of trials on one engine, each in its own directory."""

import os
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from inferlog_ops.core.errors import OperatorError
from inferlog_ops.core.home import find_cache_dir
from inferlog_ops.core.progress import ReportProgress
from tests.chaos.engine import Engine
from tests.chaos.fault_list import Trial
from tests.chaos.proxy import run_proxy
from tests.chaos.scenario import Pace, TrialResult, run_trial


def run_trials(trials: Sequence[Trial], *, root: Path, pace: Pace, report: ReportProgress) -> Iterator[TrialResult]:
    """
    Run *trials* in *root*, one after the other, and yield each result.

    The files of a trial are removed unless an invariant was violated.

    Raises:
        OperatorError: If Elasticsearch does not start at first, or does not stop.
    """
    _copy_read_only_jars(root)
    with ExitStack() as cleanup:
        engine = Engine(root / "engine", report)
        cleanup.callback(engine.stop)
        engine.start()
        proxy = cleanup.enter_context(run_proxy(engine.url))
        for number, trial in enumerate(trials, start=1):
            folder = root / f"{number:02d}-{trial.name.replace('+', '-')}"
            counted = f"{number}/{len(trials)} "
            result: TrialResult | None = None
            try:
                result = run_trial(
                    trial,
                    root=folder,
                    engine=engine,
                    proxy=proxy,
                    pace=pace,
                    report=lambda text, counted=counted: report(counted + text),  # type: ignore[misc]
                )
            except Exception as error:  # noqa: BLE001 (the other trials still run, and the result reports it)
                result = TrialResult(trial=trial, seen=None, broken=[_describe_error(error), *_revive(engine)])
            finally:
                if result is None or not result.broken:
                    shutil.rmtree(folder, ignore_errors=True)
            yield result


def _describe_error(error: Exception) -> str:
    """Describe the error that ended a trial; include the type unless its message is meant for users."""
    kind = "" if isinstance(error, OperatorError) else f"{type(error).__name__}: "
    return f"it did not come to its end: {kind}{error}"


def _revive(engine: Engine) -> list[str]:
    """Restart *engine* for the next trial if necessary; return an error sentence on failure."""
    try:
        engine.revive()
    except Exception as error:  # noqa: BLE001 (as above)
        return [f"Elasticsearch does not come back: {error}"]
    return []


@contextmanager
def make_working_directory() -> Iterator[Path]:
    """Create a temporary directory, and remove it at the end unless files of trials remain."""
    root = Path(tempfile.mkdtemp(prefix="inferlog-chaos-"))
    try:
        yield root
    finally:
        shutil.rmtree(root / "engine", ignore_errors=True)
        shutil.rmtree(root / "cache", ignore_errors=True)
        if not any(root.iterdir()):
            root.rmdir()


def _copy_read_only_jars(root: Path) -> None:
    """Copy the engine's jars if their cache is read-only for this user, as after `leave_root`."""
    jars = find_cache_dir() / "jars"
    if jars.is_dir() and not os.access(jars, os.W_OK):
        shutil.copytree(jars, root / "cache" / "inferlog" / "jars", ignore=shutil.ignore_patterns(".*"))
        os.environ["XDG_CACHE_HOME"] = str(root / "cache")
