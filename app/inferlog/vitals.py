"""What the machine says of this process: processor, memory, GPU. Linux; what cannot be read is absent."""

import os
import time
from typing import Any, Final

_PAGE_BYTES: Final = os.sysconf("SC_PAGE_SIZE")


class Vitals:
    """Reads figures that need the reading before to mean something."""

    def __init__(self) -> None:
        self._wall, self._processor = time.monotonic(), time.process_time()
        self._gpu: Any = None
        self._looked_for_gpu = False

    def process(self) -> dict[str, Any]:
        """Return the processors in use since the last call (1.0 is one of them, always), and the memory."""
        wall, processor = time.monotonic(), time.process_time()
        elapsed_seconds, self._wall = wall - self._wall, wall
        used_seconds, self._processor = processor - self._processor, processor
        figures: dict[str, Any] = {}
        if elapsed_seconds > 0:
            figures["cpu"] = {"utilization": round(used_seconds / elapsed_seconds, 4)}
        resident = _resident_bytes()
        if resident is not None:
            figures["memory"] = {"usage_bytes": resident}
        return figures

    def gpu(self) -> dict[str, Any] | None:
        """Return the first GPU's utilisation (0 to 1) and memory in use; None without ``nvidia-ml-py`` and a GPU."""
        if not self._looked_for_gpu:
            self._looked_for_gpu = True
            self._gpu = _nvidia()
        if self._gpu is None:
            return None
        library, handle = self._gpu
        try:
            used = library.nvmlDeviceGetUtilizationRates(handle).gpu / 100
            memory = library.nvmlDeviceGetMemoryInfo(handle).used
        except library.NVMLError:
            return None
        return {"utilization": used, "memory_usage_bytes": int(memory)}


def _resident_bytes() -> int | None:
    try:
        with open("/proc/self/statm", "rb") as figures:  # noqa: PTH123 (no Path object every few seconds)
            return int(figures.read().split()[1]) * _PAGE_BYTES
    except (OSError, IndexError, ValueError):
        return None


def _nvidia() -> tuple[Any, Any] | None:
    try:
        import pynvml  # noqa: PLC0415 (there only where somebody has installed it)
    except ImportError:
        return None
    try:
        pynvml.nvmlInit()
        return pynvml, pynvml.nvmlDeviceGetHandleByIndex(0)
    except pynvml.NVMLError:
        return None
