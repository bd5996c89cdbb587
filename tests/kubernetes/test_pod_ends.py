"""
Pods end in every usual way: each response has one event, each written line is stored, none twice.

Run it with: ``.venv/bin/pytest -m kubernetes tests/kubernetes``. Settings and results: docs/verification.md.
"""

import json
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.kubernetes.cluster import (
    SERVICE,
    Installation,
    assert_each_response_has_one_event,
    list_names,
    read_pods,
    run_kubectl,
    send_load,
    stop_elasticsearch,
)
from tests.support.polling import wait_until

pytestmark = [pytest.mark.kubernetes, pytest.mark.timeout(1800)]

RESTART_KUBELET = os.environ.get("INFERLOG_TEST_RESTART_KUBELET")
"""Shell command that restarts the kubelet of the only node."""


@pytest.fixture
def service(installation: Installation) -> Installation:
    """Two ready pods, and none that is ending."""
    scale(2)
    wait_until(lambda: len(find_pods()) == 2, 300, "the end of other pods")
    return installation


def scale(replicas: int) -> None:
    run_kubectl("scale", "deployment/scoring", f"--replicas={replicas}")
    run_kubectl("rollout", "status", "deployment/scoring", "--timeout=300s")


def restart() -> None:
    run_kubectl("rollout", "restart", "deployment/scoring")
    run_kubectl("rollout", "status", "deployment/scoring", "--timeout=600s")


def find_pods() -> set[str]:
    """Return the names of the pods of the service, also of those that are ending."""
    return set(list_names(read_pods(SERVICE)))


def wait_for_end(pods: set[str], timeout_seconds: float = 400) -> None:
    """Return when *pods* do not exist any more and the others are ready."""
    wait_until(lambda: not pods & find_pods(), timeout_seconds, f"the end of {pods}")
    run_kubectl("rollout", "status", "deployment/scoring", "--timeout=300s")


def assert_all_lines_are_stored(installation: Installation, ended: set[str]) -> None:
    """Check that every line that was found in the volumes of the *ended* pods is stored once."""
    recorded = installation.read_recorded_pods()
    assert ended <= recorded, f"not recorded: {ended - recorded}"
    written, stored = installation.read_written_ids(), Counter(installation.read_stored_ids())
    assert not written - set(stored), f"{len(written - set(stored))} of {len(written)} lines lost"
    assert not [each for each, count in stored.items() if count > 1]
    sys.stderr.write(f"{len(ended)} pods ended, {len(recorded)} in all with {len(written)} lines\n")


def find_processes(pod: str, container: str, words: str) -> list[int]:
    """Return the processes of *container* with *words* in their command line."""
    (found,) = [each for each in read_pods(SERVICE) if each["metadata"]["name"] == pod]
    statuses = found["status"]["containerStatuses"] + found["status"]["initContainerStatuses"]
    (identifier,) = [each["containerID"].rpartition("/")[2] for each in statuses if each["name"] == container]
    return [
        int(folder.name)
        for folder in Path("/proc").glob("[0-9]*")
        if identifier in read(folder / "cgroup") and words in read(folder / "cmdline").replace("\0", " ")
    ]


def read(path: Path) -> str:
    try:
        return path.read_text()
    except OSError:
        return ""


def test_rolling_restarts_refuse_no_request_and_lose_no_line(service: Installation) -> None:
    before = find_pods()
    load = send_load(service, rate=10, seconds=60)
    restart()
    restart()
    between = find_pods()
    assert_each_response_has_one_event(load)
    wait_for_end(before | (between - find_pods()))
    assert_all_lines_are_stored(service, before)


def test_deleted_pods_lose_no_line(service: Installation) -> None:
    scale(6)
    ended: set[str] = set()
    load = send_load(service, rate=10, seconds=180)
    for _ in range(8):
        pods = find_pods()
        for pod in sorted(pods)[:5]:
            run_kubectl("delete", "pod", pod, "--wait=false")
            ended.add(pod)
        wait_for_end(ended)
    # Five of six pods end at once, not one after another as in a rollout: some requests may get no response.
    assert_each_response_has_one_event(load, unanswered=True)
    assert_all_lines_are_stored(service, ended)


def test_evicted_pod_loses_no_line(service: Installation) -> None:
    pod = min(find_pods())
    load = send_load(service, rate=10, seconds=20)
    eviction = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": pod, "namespace": "inferlog"}}
    path = f"/api/v1/namespaces/inferlog/pods/{pod}/eviction"
    run_kubectl("create", "--raw", path, "-f", "-", stdin=json.dumps(eviction))
    wait_for_end({pod})
    assert_each_response_has_one_event(load)
    assert_all_lines_are_stored(service, {pod})


def test_drained_node_loses_no_line(service: Installation) -> None:
    pods = find_pods()
    node = read_pods(SERVICE)[0]["spec"]["nodeName"]
    load = send_load(service, rate=10, seconds=30)
    run_kubectl("delete", "poddisruptionbudget", "scoring")
    try:
        run_kubectl("drain", node, f"--pod-selector={SERVICE}", "--delete-emptydir-data", "--timeout=300s")
    finally:
        run_kubectl("uncordon", node)
        run_kubectl("apply", "-k", str(service.folder / "trial"))
    wait_for_end(pods)
    assert_each_response_has_one_event(load, unanswered=True)
    assert_all_lines_are_stored(service, pods)


def test_scaling_up_and_down_under_load_loses_no_line(service: Installation) -> None:
    scale(1)
    load = send_load(service, rate=10, seconds=60)
    scale(5)
    five = find_pods()
    scale(1)
    wait_until(lambda: len(find_pods()) == 1, 300, "one pod")
    assert_each_response_has_one_event(load)
    assert_all_lines_are_stored(service, five - find_pods())


@pytest.fixture
def autoscaled(service: Installation, monkeypatch: pytest.MonkeyPatch) -> Iterator[Installation]:
    """The overlay `autoscaling`, applied to a running service as docs/kubernetes.md describes."""
    if not run_kubectl("get", "--raw", "/apis/metrics.k8s.io/v1beta1/nodes", check=False):
        pytest.skip("this cluster has no metrics server: the autoscaler is not tested")
    monkeypatch.setenv("KUBE_EDITOR", "sed -i /replicas:/d")
    run_kubectl("apply", "edit-last-applied", "deployment/scoring")
    run_kubectl("apply", "-k", str(service.folder / "autoscaling"))
    try:
        assert run_kubectl("get", "deployment/scoring", "--output=jsonpath={.spec.replicas}") == "2"
        run_kubectl("rollout", "status", "deployment/scoring", "--timeout=300s")
        run_kubectl("wait", "hpa/scoring", "--for=condition=ScalingActive", "--timeout=300s")
        wait_until(lambda: len(find_pods()) == 2, 300, "two pods without load")
        yield service
    finally:
        run_kubectl("delete", "hpa", "scoring")
        run_kubectl("apply", "-k", str(service.folder / "trial"))


def test_autoscaler_follows_the_load_and_loses_no_line(autoscaled: Installation) -> None:
    heavy = send_load(autoscaled, rate=30, seconds=60)
    wait_until(lambda: len(find_pods()) == 4, 240, "more pods")
    run_kubectl("rollout", "status", "deployment/scoring", "--timeout=300s")
    many = find_pods()
    light = send_load(autoscaled, rate=2, seconds=120)
    assert_each_response_has_one_event(heavy)
    wait_until(lambda: len(find_pods()) == 2, 300, "two pods")
    assert_each_response_has_one_event(light)
    assert_all_lines_are_stored(autoscaled, many - find_pods())


@pytest.mark.parametrize(
    ("container", "words"), [("app", "inferlog_server"), ("fluentd", "under-supervisor"), ("fluentd", "tini")]
)
def test_killed_process_loses_no_line(service: Installation, container: str, words: str) -> None:
    pod = min(find_pods())
    load = send_load(service, rate=10, seconds=30)
    killed = find_processes(pod, container, words)
    if not killed:
        pytest.skip(f"no process of {pod} on this machine: its node is another one")
    for process in killed:
        os.kill(process, 9)
    wait_until(lambda: is_ready(pod) and is_replaced(pod, container, words, killed), 120, "another process")
    assert_each_response_has_one_event(load, unanswered=container == "app")
    run_kubectl("delete", "pod", pod, "--wait=false")
    wait_for_end({pod})
    assert_all_lines_are_stored(service, {pod})


def is_replaced(pod: str, container: str, words: str, killed: list[int]) -> bool:
    """Return whether *container* has a process with *words* that is not one of *killed*."""
    found = find_processes(pod, container, words)
    return bool(found) and not set(found) & set(killed)


def is_ready(pod: str) -> bool:
    return all(
        condition["status"] == "True"
        for each in read_pods(SERVICE)
        if each["metadata"]["name"] == pod
        for condition in each["status"]["conditions"]
        if condition["type"] == "Ready"
    )


def count_restarts(pod: str, container: str) -> int:
    (found,) = [each for each in read_pods(SERVICE) if each["metadata"]["name"] == pod]
    statuses = found["status"]["containerStatuses"] + found["status"]["initContainerStatuses"]
    return sum(each["restartCount"] for each in statuses if each["name"] == container)


def test_memory_limit_of_the_sidecar_loses_no_line(service: Installation) -> None:
    pod = min(find_pods())
    load = send_load(service, rate=10, seconds=30)
    # With cgroup v1 the kernel kills the greedy process, with v2 the whole container.
    greedy = "ruby -e \"blocks = []; loop { blocks << 'x' * (16 << 20) }\"; echo ended with $?"
    output = run_kubectl("exec", pod, "--container", "fluentd", "--", "sh", "-c", greedy, check=False)
    assert output.endswith("ended with 137") or wait_until(lambda: count_restarts(pod, "fluentd"), 60, "a restart")
    wait_until(lambda: is_ready(pod), 120, "the container's restart")
    assert_each_response_has_one_event(load)
    run_kubectl("delete", "pod", pod, "--wait=false")
    wait_for_end({pod})
    assert_all_lines_are_stored(service, {pod})


def test_service_that_exceeds_its_grace_period_loses_no_answered_request(service: Installation) -> None:
    pod = min(find_pods())
    load = send_load(service, rate=10, seconds=20)
    # Less than the preStop hook takes: the service is killed, and Fluentd gets what Kubernetes always gives, 2 s.
    run_kubectl("delete", "pod", pod, "--grace-period=2", "--wait=false")
    wait_for_end({pod})
    assert_each_response_has_one_event(load, unanswered=True)


def test_elasticsearch_down_for_two_minutes_during_a_rollout_loses_no_line(service: Installation) -> None:
    before = find_pods()
    load = send_load(service, rate=10, seconds=150)
    with stop_elasticsearch():
        run_kubectl("rollout", "restart", "deployment/scoring")
        subprocess.run(["sleep", "120"], check=True)  # the length of the outage
    wait_for_end(before)
    assert_each_response_has_one_event(load)
    assert_all_lines_are_stored(service, before)


def test_job_that_ends_at_once_loses_no_line(service: Installation) -> None:
    run_kubectl("apply", "-k", str(service.folder / "job"))
    run_kubectl("wait", "job/short", "--for=condition=complete", "--timeout=600s")
    pods = set(list_names(read_pods("job-name=short")))
    assert len(pods) == 40
    assert_all_lines_are_stored(service, pods)
    run_kubectl("delete", "job", "short")


def test_restarted_kubelet_loses_no_line(service: Installation) -> None:
    if not RESTART_KUBELET:
        pytest.skip("INFERLOG_TEST_RESTART_KUBELET is not set: the kubelet is not restarted")
    pods = find_pods()
    load = send_load(service, rate=10, seconds=40)
    run_kubectl("delete", "pod", min(pods), "--wait=false")
    subprocess.run(["sh", "-c", RESTART_KUBELET], check=True)
    wait_for_end({min(pods)})
    # A kubelet that starts reports every pod as not ready until its first probe: the Service has none for a moment.
    assert_each_response_has_one_event(load, unanswered=True)
    assert_all_lines_are_stored(service, {min(pods)})
