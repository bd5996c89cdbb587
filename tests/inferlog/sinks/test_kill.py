"""A killed process leaves complete lines without a gap, except the one being written."""

import json
import signal
import subprocess
import sys
from pathlib import Path

from tests.support.polling import wait_until

SERVICE = """
import sys, threading, inferlog
inferlog.configure(service_name="scoring", log_dir=sys.argv[1], max_file_bytes=50_000)

def work():
    while True:
        with inferlog.track_performance("predict", model_version="v1", note="x" * 300):
            pass

for _ in range(4):
    threading.Thread(target=work).start()
"""


def test_sigkill_loses_no_written_event(tmp_path: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", SERVICE, tmp_path]) as service:
        wait_until(lambda: len(list(tmp_path.glob("events-*"))) > 5, what="several files")
        service.send_signal(signal.SIGKILL)
    files = [path.read_bytes() for path in sorted(tmp_path.glob("events-*"))]
    assert all(content.endswith(b"\n") for content in files[:-1])
    lines = b"".join(files).split(b"\n")
    torn = lines.pop()
    assert torn == b"" or not torn.endswith(b"}")
    sequences = [json.loads(line)["event"]["sequence"] for line in lines]
    assert sequences == list(range(len(sequences)))
    assert len(sequences) > 200
