"""What the machine says of the process. A GPU is few test machines' own: NVIDIA's library is stood in for."""

import sys
from types import ModuleType, SimpleNamespace

import pytest

from inferlog.vitals import Vitals


class NVMLError(Exception):
    """As the library's own."""


def library(*, gpus: int = 1, breaks: bool = False) -> ModuleType:
    """Return what nvidia-ml-py installs, as far as it is used, on a machine with so many GPUs."""
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


def test_the_first_gpu_s_use_and_memory_are_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pynvml", library())
    assert Vitals().gpu() == {"utilization": 0.37, "memory_usage_bytes": 3 * 2**30}


@pytest.mark.parametrize(
    "pynvml", [None, library(gpus=0), library(breaks=True)], ids=["no library", "no GPU", "broken"]
)
def test_where_there_is_none_nothing_is_said(pynvml: ModuleType | None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pynvml", pynvml)
    vitals = Vitals()
    assert vitals.gpu() is None
    assert vitals.gpu() is None


def test_the_process_says_its_processor_and_memory() -> None:
    figures = Vitals().process()
    assert figures["cpu"]["utilization"] >= 0
    assert figures["memory"]["usage_bytes"] > 2**20
