"""The loops of `logging_cost` as a process for callgrind; a call of `os.getppid` is before and after each loop."""

import asyncio
import gc
import os
import sys
import tempfile
from pathlib import Path

import inferlog
from benchmarks.logging_cost import EXTRA, QUICKEST, library
from benchmarks.other_loggers import OTHERS

WARM_UP_EVENTS = 300


async def run(events: int) -> None:
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        inferlog.configure(service_name="benchmark", log_dir=directory, console="never", heartbeat_seconds=0)
        ways = library(directory) | {QUICKEST: OTHERS[QUICKEST](directory, EXTRA)}
        for way in ways.values():
            way(WARM_UP_EVENTS)
        for way in ways.values():
            gc.collect()
            os.getppid()
            way(events)
            os.getppid()
        inferlog.shutdown()


if __name__ == "__main__":
    asyncio.run(run(int(sys.argv[1])))
