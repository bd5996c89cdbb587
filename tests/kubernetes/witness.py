"""
Records every line of a pod in Elasticsearch after Fluentd has ended.

Runs as the first sidecar of a pod, so it ends last. The ids of the lines in the log files become documents of the index
`written-lines`, which the tests compare with the data streams.
"""

import base64
import json
import os
import signal
import ssl
import sys
import time
import urllib.request
from pathlib import Path

LOGS = Path("/var/log/inferlog")


def read_lines() -> list[dict[str, str]]:
    lines = []
    for path in sorted(LOGS.glob("*-*.jsonl")):
        for text in path.read_bytes().splitlines(keepends=True):
            if text.endswith(b"\n"):
                line = json.loads(text)
                lines.append({"id": line["event"]["id"], "stream": path.name.partition("-")[0]})
    return lines


def index(lines: list[dict[str, str]]) -> None:
    pod = os.environ["HOSTNAME"]
    bulk = "".join(f'{{"index":{{}}}}\n{json.dumps(line | {"pod": pod})}\n' for line in lines)
    done = {"id": f"end-{pod}-{time.time_ns()}", "stream": "end", "pod": pod, "lines": len(lines)}
    bulk += f'{{"index":{{}}}}\n{json.dumps(done)}\n'
    login = base64.b64encode(f"elastic:{os.environ['ELASTIC_PASSWORD'].strip()}".encode()).decode()
    request = urllib.request.Request(
        f"{os.environ['ELASTICSEARCH_URL']}/written-lines/_bulk",
        data=bulk.encode(),
        headers={"Content-Type": "application/x-ndjson", "Authorization": f"Basic {login}"},
    )
    trust = ssl.create_default_context(cafile="/certificates/ca.crt")
    while True:
        try:
            with urllib.request.urlopen(request, timeout=10, context=trust) as response:
                assert not json.load(response)["errors"]
                return
        except OSError as error:
            sys.stderr.write(f"not recorded yet: {error}\n")
            time.sleep(0.2)


def end(_signal: int, _frame: object) -> None:
    lines = read_lines()
    sys.stderr.write(f"{len(lines)} lines\n")
    index(lines)
    sys.exit(0)


signal.signal(signal.SIGTERM, end)
while True:
    signal.pause()
