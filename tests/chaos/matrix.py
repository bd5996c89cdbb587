"""Carries out trial after trial on one engine, in a directory of its own."""

import os
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from inferlog_ops.core.errors import OperatorError
from inferlog_ops.core.home import cache_dir
from inferlog_ops.core.progress import Say
from tests.chaos.catalogue import Trial
from tests.chaos.engine import Engine
from tests.chaos.proxy import proxying
from tests.chaos.scenario import Pace, Result, carry_out


def results(trials: Sequence[Trial], *, root: Path, pace: Pace, say: Say) -> Iterator[Result]:
    """
    Carry out *trials* in *root*, one after the other, and yield how each went.

    What a trial leaves behind is removed, unless it broke a promise.

    Raises:
        OperatorError: If Elasticsearch does not come up at first, or does not end.
    """
    _have_jars_at_hand(root)
    with ExitStack() as cleanup:
        engine = Engine(root / "engine", say)
        cleanup.callback(engine.stop)
        engine.start()
        proxy = cleanup.enter_context(proxying(engine.url))
        for number, trial in enumerate(trials, start=1):
            folder = root / f"{number:02d}-{trial.name.replace('+', '-')}"
            counted = f"{number}/{len(trials)} "
            result: Result | None = None
            try:
                result = carry_out(
                    trial,
                    root=folder,
                    engine=engine,
                    proxy=proxy,
                    pace=pace,
                    say=lambda text, counted=counted: say(counted + text),  # type: ignore[misc]
                )
            except Exception as error:  # noqa: BLE001 (whatever it is, the other trials are worth their hour, and it is told)
                result = Result(trial=trial, seen=None, broken=[_reason(error), *_revived(engine)])
            finally:
                if result is None or not result.broken:
                    shutil.rmtree(folder, ignore_errors=True)
            yield result


def _reason(error: Exception) -> str:
    """Say what ended a trial; by its kind, too, where it is none that is raised to be read."""
    kind = "" if isinstance(error, OperatorError) else f"{type(error).__name__}: "
    return f"it did not come to its end: {kind}{error}"


def _revived(engine: Engine) -> list[str]:
    """Have *engine* run again for the next trial; return why it does not, if so."""
    try:
        engine.revive()
    except Exception as error:  # noqa: BLE001 (as above)
        return [f"Elasticsearch does not come back: {error}"]
    return []


@contextmanager
def working_directory() -> Iterator[Path]:
    """Give a new directory, and remove it at the end unless trials are left in it."""
    root = Path(tempfile.mkdtemp(prefix="inferlog-chaos-"))
    try:
        yield root
    finally:
        shutil.rmtree(root / "engine", ignore_errors=True)
        shutil.rmtree(root / "cache", ignore_errors=True)
        if not any(root.iterdir()):
            root.rmdir()


def _have_jars_at_hand(root: Path) -> None:
    """Copy the engine's jars out of a cache that this user may only read, as where root has become somebody else."""
    jars = cache_dir() / "jars"
    if jars.is_dir() and not os.access(jars, os.W_OK):
        shutil.copytree(jars, root / "cache" / "inferlog" / "jars", ignore=shutil.ignore_patterns(".*"))
        os.environ["XDG_CACHE_HOME"] = str(root / "cache")
