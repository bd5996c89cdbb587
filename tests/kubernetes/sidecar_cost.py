"""
Memory, processor time, start and stop of each sidecar at several rates, in a real cluster.

Run it on an idle machine: ``.venv/bin/python -m tests.kubernetes.sidecar_cost``. It prints a Markdown table.
"""

import re
import sys
import tempfile
import time
from datetime import datetime
from pathlib import Path
from typing import Any

import yaml

from tests.kubernetes.cluster import Installation, install, read_pods, run_kubectl
from tests.support.polling import wait_until

RATES = (0, 20, 500)
SECONDS = 60
SIDECARS = {"fluentd": "sidecar", "ship": "ship"}
"""Component of infra/kubernetes by the name of its container."""
_SETTLING_SECONDS = 15
"""Start of the sidecar, which is reported on its own."""
_PROGRAM = """
import os, time, inferlog
inferlog.configure()
rate, seconds = int(os.environ["RATE"]), int(os.environ["SECONDS"])
start = time.monotonic()
for number in range(rate * seconds):
    time.sleep(max(0, start + number / rate - time.monotonic()))
    inferlog.record_inference(model_version="v1", latency_seconds=0.1, status="success", output_tokens=9)
time.sleep(max(0, start + seconds - time.monotonic()))
"""
# cgroup v2, then v1. Of the memory, pages of files that the kernel can drop do not count, as for Kubernetes.
_READ_USAGE = """
cd /sys/fs/cgroup
if [ -f cpu.stat ] && [ -f memory.current ]; then
    awk '/^usage_usec/ {print $2 * 1000}' cpu.stat; cat memory.current; awk '/^inactive_file/ {print $2}' memory.stat
else
    cat cpuacct/cpuacct.usage memory/memory.usage_in_bytes; awk '/^total_inactive_file/ {print $2}' memory/memory.stat
fi
"""


def main() -> None:
    """Measure every sidecar at every rate."""
    rows = [
        "| sidecar | events a second | memory, MiB | processor, millicores | start, s | stop, s |",
        "|---|---|---|---|---|---|",
    ]
    with tempfile.TemporaryDirectory() as folder, install(Path(folder) / "trial") as installation:
        run_kubectl("scale", "deployment/scoring", "--replicas=0")
        for name, component in SIDECARS.items():
            for rate in RATES:
                row = measure(installation, name, component, rate)
                sys.stderr.write(f"{row}\n")
                rows.append(row)
    sys.stdout.write("\n".join(rows) + "\n")


def measure(installation: Installation, name: str, component: str, rate: int) -> str:
    """Run one pod with a writer of *rate* events a second, and return its row."""
    folder = installation.folder / f"{name}-{rate}"
    folder.mkdir()
    write_job(installation.folder / "job", folder, component, rate)
    run_kubectl("apply", "-k", str(folder))
    (pod,) = wait_until(
        lambda: [each for each in read_pods("job-name=short") if is_running(each, "work")], 120, "the writer"
    )
    pod_name = pod["metadata"]["name"]
    time.sleep(_SETTLING_SECONDS)
    before, began = read_usage(pod_name, name), time.monotonic()
    time.sleep(SECONDS - _SETTLING_SECONDS - 5)
    after, seconds = read_usage(pod_name, name), time.monotonic() - began
    log = wait_until(lambda: read_log_if_ended(pod_name, name), 120, "the end of the pod")
    (pod,) = read_pods("job-name=short")
    statuses = {
        each["name"]: each["state"]
        for each in pod["status"]["containerStatuses"] + pod["status"]["initContainerStatuses"]
    }
    stop = parse_time(statuses[name]["terminated"]["finishedAt"]) - parse_time(
        statuses["work"]["terminated"]["finishedAt"]
    )
    run_kubectl("delete", "job", "short")
    millicores = (after[0] - before[0]) / seconds / 1e6
    mebibytes = (after[1] - after[2]) / (1 << 20)
    return (
        f"| {name} | {rate} | {mebibytes:.0f} | {millicores:.0f} | {start_seconds(statuses[name], log)} | {stop:.0f} |"
    )


def write_job(source: Path, folder: Path, component: str, rate: int) -> None:
    """Write the Job of the tests to *folder*, with another program and another sidecar."""
    for file in source.iterdir():
        (folder / file.name).write_bytes(file.read_bytes())
    kustomization = yaml.safe_load((folder / "kustomization.yaml").read_text())
    kustomization["components"] = [f"../kubernetes/{component}"]
    kustomization["images"].append({"name": "inferlog-setup", "newTag": kustomization["images"][0]["newTag"]})
    del kustomization["patches"]
    (folder / "kustomization.yaml").write_text(yaml.safe_dump(kustomization))
    job = yaml.safe_load((folder / "job.yaml").read_text())
    job["spec"] |= {"completions": 1, "parallelism": 1}
    (work,) = job["spec"]["template"]["spec"]["containers"]
    work["args"] = [_PROGRAM]
    work["env"] += [{"name": "RATE", "value": str(rate)}, {"name": "SECONDS", "value": str(SECONDS)}]
    (folder / "job.yaml").write_text(yaml.safe_dump(job))


def is_running(pod: dict[str, Any], container: str) -> bool:
    """Return whether *container* of *pod* runs."""
    return any(
        each["name"] == container and "running" in each["state"] for each in pod["status"].get("containerStatuses", [])
    )


def read_usage(pod: str, container: str) -> tuple[int, int, int]:
    """Return processor time in nanoseconds, memory and droppable memory in bytes, of *container*."""
    output = run_kubectl("exec", pod, "--container", container, "--", "sh", "-c", _READ_USAGE)
    processor, memory, droppable = output.split()
    return int(float(processor)), int(memory), int(droppable)


def read_log_if_ended(pod: str, container: str) -> str | None:
    """Return the log of *container* with times, after the pod has ended."""
    phase = run_kubectl("get", "pod", pod, "--output=jsonpath={.status.phase}")
    return run_kubectl("logs", pod, "--container", container, "--timestamps") if phase == "Succeeded" else None


def start_seconds(state: dict[str, Any], log: str) -> str:
    """Return the seconds from the container's start to the first line of its log that names a file or a worker."""
    for line in log.splitlines():
        moment, _, text = line.partition(" ")
        if re.search("fluentd worker is now running|shipped", text):
            return f"{parse_time(moment) - parse_time(state['terminated']['startedAt']):.0f}"
    return "unknown"


def parse_time(text: str) -> float:
    """Return the Unix time of *text*, a time of Kubernetes."""
    return datetime.fromisoformat(text).timestamp()


if __name__ == "__main__":
    main()
