"""Process metrics of a heartbeat: open requests, event loop lag, CPU, memory, GPU. Unavailable ones are absent."""

import asyncio
import os
import threading
import time
from typing import Any, Final

_PAGE_BYTES: Final = os.sysconf("SC_PAGE_SIZE")


class Activity:
    """Counts open requests and keeps the event loop that serves them. Thread-safe."""

    def __init__(self) -> None:
        self._open: list[None] = []  # one for each request: append and pop are atomic, and a lock costs much more
        self._loop: asyncio.AbstractEventLoop | None = None

    @property
    def open_requests(self) -> int:
        """Number of open requests."""
        return len(self._open)

    def begin(self) -> int:
        """Count a new request; return the number of others in flight."""
        self._open.append(None)
        return len(self._open) - 1

    def end(self) -> None:
        """Count a finished request."""
        self._open.pop()

    def serve_on_this_loop(self) -> None:
        """Register the running loop as serving requests; the last one counts."""
        try:  # noqa: SIM105 (hot path, where suppress costs more than the rest)
            self._loop = asyncio.get_running_loop()
        except RuntimeError:
            pass  # trio: not measured

    def serve_nowhere(self) -> None:
        """Unregister the loop, which ends its measurement."""
        self._loop = None

    def measure_loop_lag_seconds(self, *, at_most_seconds: float) -> float | None:
        """
        Measure, from another thread, the delay of the loop until it runs a callback.

        Returns *at_most_seconds* if it takes longer, None without a running loop.
        """
        loop = self._loop
        if loop is None or not loop.is_running():
            return None
        reached = threading.Event()
        scheduled = time.monotonic()
        try:
            loop.call_soon_threadsafe(reached.set)
        except RuntimeError:  # closed between check and call
            return None
        reached.wait(at_most_seconds)
        return min(time.monotonic() - scheduled, at_most_seconds)


class Vitals:
    """Reads metrics of the process, some relative to the previous reading."""

    def __init__(self) -> None:
        self._wall, self._processor = time.monotonic(), time.process_time()
        self._gpu: Any = None
        self._looked_for_gpu = False

    def read_process(self) -> dict[str, Any]:
        """Return CPU use since the last call (1.0 is one fully used core) and resident memory in bytes."""
        wall, processor = time.monotonic(), time.process_time()
        elapsed_seconds, self._wall = wall - self._wall, wall
        used_seconds, self._processor = processor - self._processor, processor
        figures: dict[str, Any] = {}
        if elapsed_seconds > 0:
            figures["cpu"] = {"utilization": round(used_seconds / elapsed_seconds, 4)}
        resident = _read_resident_bytes()
        if resident is not None:
            figures["memory"] = {"usage_bytes": resident}
        return figures

    def read_gpu(self) -> dict[str, Any] | None:
        """Return the first GPU's utilisation (0 to 1) and used memory in bytes; None if unavailable."""
        if not self._looked_for_gpu:
            self._looked_for_gpu = True
            self._gpu = _open_nvidia()
        if self._gpu is None:
            return None
        library, handle = self._gpu
        try:
            used = library.nvmlDeviceGetUtilizationRates(handle).gpu / 100
            memory = library.nvmlDeviceGetMemoryInfo(handle).used
        except library.NVMLError:
            return None
        return {"utilization": used, "memory_usage_bytes": int(memory)}


def _read_resident_bytes() -> int | None:
    try:
        with open("/proc/self/statm", "rb") as figures:  # noqa: PTH123 (avoids a Path object per heartbeat)
            return int(figures.read().split()[1]) * _PAGE_BYTES
    except (OSError, IndexError, ValueError):
        return None


def _open_nvidia() -> tuple[Any, Any] | None:
    try:
        import pynvml  # noqa: PLC0415 (optional dependency)
    except ImportError:
        return None
    try:
        pynvml.nvmlInit()
        return pynvml, pynvml.nvmlDeviceGetHandleByIndex(0)
    except pynvml.NVMLError:
        return None
