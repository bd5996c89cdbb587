"""Tells the writers of the files how far each one is shipped, so that they can delete what is."""

import errno
import time
from collections import defaultdict
from collections.abc import Callable, Iterable
from pathlib import Path

import orjson

from inferlog.sinks.shipped import SHIPPED_DIRECTORY
from inferlog_ops.core.progress import Say
from inferlog_ops.ship.offsets import TrackedFile
from inferlog_ops.ship.positions import replace_file

_VERSION = 1
_RENEWAL_SECONDS = 60.0


class AckFile:
    """
    Keeps ``.shipped/<shipper id>.json`` in every folder that holds log files.

    Written after the position file, so that nothing counts as shipped that this shipper could forget.

    Args:
        root: The folder of logs.
        shipper_id: The same at every start.
        say: Is told what cannot be written.
        clock: Seconds that never go back.
    """

    def __init__(self, root: Path, shipper_id: str, say: Say, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._root = root
        self._file_name = f"{shipper_id}.json"
        self._say = say
        self._clock = clock
        self._renewed = clock()
        self._published: dict[Path, dict[str, int]] = {}
        self._refused: set[Path] = set()

    def publish(self, files: Iterable[TrackedFile]) -> None:
        """Write what has changed since the last time. A folder that cannot be written to is told of once."""
        current: defaultdict[Path, dict[str, int]] = defaultdict(dict)
        for file in files:
            path = self._root / file.name
            current[path.parent][path.name] = file.position
        for folder in current.keys() | self._published.keys():
            positions = current.get(folder, {})
            if self._published.get(folder) != positions:
                self._write(folder, positions)
                self._published[folder] = positions

    def renew(self) -> None:
        """Write all of it again now and then: files are not kept for a shipper that has fallen silent."""
        if self._clock() - self._renewed < _RENEWAL_SECONDS:
            return
        self._renewed = self._clock()
        for folder, positions in self._published.items():
            self._write(folder, positions)

    def _write(self, folder: Path, positions: dict[str, int]) -> None:
        if not folder.is_dir():
            return
        content = orjson.dumps({"version": _VERSION, "positions": positions})
        try:
            published = folder / SHIPPED_DIRECTORY
            published.mkdir(exist_ok=True)
            if published.is_symlink():
                raise OSError(errno.ELOOP, "a link to another folder", str(published))  # noqa: TRY301 (said below)
            replace_file(published / self._file_name, content, durable=False)
        except OSError as error:
            if folder not in self._refused:
                self._refused.add(folder)
                self._say(
                    f"cannot publish positions in {folder / SHIPPED_DIRECTORY} ({error.strerror}): shipping goes on, "
                    "but whoever writes the files will not learn which ones it may delete"
                )
