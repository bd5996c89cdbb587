"""Process metrics. NVIDIA's library is replaced by a fake, because test machines have no GPU."""

import sys
import time
from types import ModuleType, SimpleNamespace

import pytest

from inferlog.vitals import Vitals


class NVMLError(Exception):
    """Error class of the fake library."""


def build_library(*, gpus: int = 1, breaks: bool = False) -> ModuleType:
    """Return a fake of nvidia-ml-py for a machine with a number of GPUs."""
    pynvml = ModuleType("pynvml")

    def handle(index: int) -> int:
        if index >= gpus:
            raise NVMLError("no such device")
        return index

    def utilization(handle: int) -> SimpleNamespace:
        if breaks:
            raise NVMLError("the GPU has fallen off the bus")
        return SimpleNamespace(gpu=37, memory=12)

    vars(pynvml).update(
        NVMLError=NVMLError,
        nvmlInit=lambda: None,
        nvmlDeviceGetHandleByIndex=handle,
        nvmlDeviceGetUtilizationRates=utilization,
        nvmlDeviceGetMemoryInfo=lambda _: SimpleNamespace(used=3 * 2**30),
    )
    return pynvml


def test_first_gpu_use_and_memory_are_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pynvml", build_library())
    assert Vitals().read_gpu() == {"utilization": 0.37, "memory_usage_bytes": 3 * 2**30}


@pytest.mark.parametrize(
    "pynvml", [None, build_library(gpus=0), build_library(breaks=True)], ids=["no library", "no GPU", "broken"]
)
def test_gpu_is_absent_without_device(pynvml: ModuleType | None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pynvml", pynvml)
    vitals = Vitals()
    assert vitals.read_gpu() is None
    assert vitals.read_gpu() is None


def test_process_has_cpu_and_memory() -> None:
    vitals = Vitals()
    began = time.process_time()
    while time.process_time() - began < 0.05:
        pass
    figures = vitals.read_process()
    assert figures["cpu"]["utilization"] > 0
    assert figures["memory"]["usage_bytes"] > 2**20
