"""Set-up, alert check and claims in a cluster, as in docs/kubernetes.md."""

import json
import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from inferlog_ops.core.streams import build_stream_name, build_summaries_stream_name
from tests.golden.reading import format_iso
from tests.kubernetes.cluster import (
    SERVICE,
    Installation,
    assert_each_response_has_one_event,
    read_pods,
    run_kubectl,
    send_load,
    stop_elasticsearch,
)
from tests.support.polling import wait_until
from tests.support.summarizing import build_event

pytestmark = [pytest.mark.kubernetes, pytest.mark.timeout(1800)]


def test_job_completes_the_set_up_of_elasticsearch_and_kibana(installation: Installation) -> None:
    run_kubectl("wait", "job/inferlog-setup", "--for=condition=complete", "--timeout=400s")
    assert "inferlog-overview" in run_kubectl("logs", "job/inferlog-setup", "--container=kibana")
    keys = json.loads(run_kubectl("get", "secret", "inferlog-keys", "--output=json"))["data"]
    assert {"fluentd", "dashboards", "summarize"} <= set(keys)


def test_alert_check_evaluates_every_rule_with_its_own_key(installation: Installation) -> None:
    run_kubectl("create", "job", "alerts-once", "--from=cronjob/inferlog-alerts")
    phase = ("get", "pods", "--selector=job-name=alerts-once", "--output=jsonpath={.items[*].status.phase}")
    wait_until(lambda: run_kubectl(*phase) in {"Succeeded", "Failed"}, 200, "the end of the check")
    said = run_kubectl("logs", "job/alerts-once")
    assert "13 rules" in said or "threshold" in said, "nothing fires, or the table of the rules that fire"


def test_summaries_are_written_with_a_key_of_their_own(installation: Installation) -> None:
    minute = (datetime.now(UTC) - timedelta(hours=1)).replace(second=0, microsecond=0)
    for second in (10, 20, 30):
        event = build_event(minute + timedelta(seconds=second))
        path = f"/{build_stream_name('events', 'default')}/_create/{event['event']['id']}?refresh=true"
        installation.search("PUT", path, event)
    run_kubectl("create", "job", "summarize-once", "--from=cronjob/inferlog-summarize")
    phase = ("get", "pods", "--selector=job-name=summarize-once", "--output=jsonpath={.items[*].status.phase}")
    wait_until(lambda: run_kubectl(*phase) in {"Succeeded", "Failed"}, 200, "the end of the run")
    assert run_kubectl(*phase) == "Succeeded", run_kubectl("logs", "job/summarize-once")
    summaries = build_summaries_stream_name("default")
    installation.search("POST", f"/{summaries}/_refresh")
    of_minute = {"bool": {"filter": [{"term": {"@timestamp": format_iso(minute)}}, {"term": {"interval_seconds": 60}}]}}
    hits = installation.search("POST", f"/{summaries}/_search", {"query": of_minute})["hits"]["hits"]
    assert [hit["_source"]["requests"] for hit in hits] == [3]


@pytest.fixture
def client(installation: Installation) -> Iterator[str]:
    """A pod to which no policy of the example applies, in a cluster that enforces policies."""
    name = send_load(installation, rate=1, seconds=120).name
    policy = {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": {"name": "trial"},
        "spec": {"podSelector": {"matchLabels": {"app": "load"}}, "policyTypes": ["Egress"]},
    }
    address = find_two_pods()[0]["status"]["podIP"]
    run_kubectl("apply", "-f", "-", stdin=json.dumps(policy))
    try:
        wait_until(lambda: not connects(name, address, 8000), 20, "a policy that forbids every connection")
    except AssertionError:
        pytest.skip("the network of this cluster ignores policies: they are not tested")
    finally:
        run_kubectl("delete", "networkpolicy", "trial")
    wait_until(lambda: connects(name, address, 8000), 60, "the end of the policy")
    yield name
    run_kubectl("delete", "pod", name, "--wait=false")


def test_network_policies_permit_only_the_listed_connections(client: str) -> None:
    # By address: the Service may lead back to the pod itself, which no policy prevents.
    service, other = find_two_pods()
    pod, other_pod, other_address = service["metadata"]["name"], other["metadata"]["name"], other["status"]["podIP"]
    assert connects(pod, "elasticsearch", 9200)
    assert connects(pod, "kibana", 5601)
    assert not connects(pod, other_address, 8000)
    api = json.loads(run_kubectl("get", "endpointslice", "kubernetes", "--namespace=default", "--output=json"))
    permitted = api["ports"][0]["port"] == 443
    assert connects(pod, "kubernetes.default", 443) is permitted, "only the set-up may use other ports of the API"

    listen = "timeout 120 python -m http.server 9200 > /dev/null 2>&1 &"
    run_kubectl("exec", other_pod, "--container=app", "--", "sh", "-c", listen)
    wait_until(lambda: connects(other_pod, "127.0.0.1", 9200), 30, "a server on a port that is not listed")
    assert connects(client, other_address, 8000)
    assert not connects(client, other_address, 9200)


def find_two_pods() -> list[dict[str, Any]]:
    """Return the two pods of the service, after a rollout that replaces them."""
    run_kubectl("rollout", "status", "deployment/scoring", "--timeout=300s")
    return wait_until(lambda: len(pods := read_pods(SERVICE)) == 2 and pods, 300, "two pods of the service")


def connects(pod: str, host: str, port: int) -> bool:
    """Return whether a process of *pod* can connect to *port* of *host*."""
    program = f"import socket; socket.create_connection(({host!r}, {port}), 5); print('connected')"
    return run_kubectl("exec", pod, "--", "python", "-c", program, check=False) == "connected"


@pytest.fixture
def volumes(installation: Installation) -> Iterator[None]:
    """Two volumes of each size that the overlay claims, in a folder of this machine, which is the only node."""
    (node,) = json.loads(run_kubectl("get", "nodes", "--output=json"))["items"]
    name = node["metadata"]["labels"]["kubernetes.io/hostname"]
    with tempfile.TemporaryDirectory(prefix="inferlog-volumes-") as folder:
        items = [
            {
                "apiVersion": "v1",
                "kind": "PersistentVolume",
                "metadata": {"name": f"inferlog-trial-{size.lower()}-{number}"},
                "spec": {
                    "capacity": {"storage": size},
                    "accessModes": ["ReadWriteOnce"],
                    "persistentVolumeReclaimPolicy": "Retain",
                    "local": {"path": make_folder(Path(folder) / f"{size}-{number}")},
                    "nodeAffinity": {
                        "required": {
                            "nodeSelectorTerms": [
                                {
                                    "matchExpressions": [
                                        {"key": "kubernetes.io/hostname", "operator": "In", "values": [name]}
                                    ]
                                }
                            ]
                        }
                    },
                },
            }
            for size in ("3Gi", "1Gi")
            for number in range(2)
        ]
        volumes = json.dumps({"apiVersion": "v1", "kind": "List", "items": items})
        run_kubectl("apply", "-f", "-", stdin=volumes)
        try:
            yield
        finally:
            run_kubectl("delete", "persistentvolumeclaims", "--all")
            run_kubectl("delete", "-f", "-", stdin=volumes)


def make_folder(path: Path) -> str:
    path.mkdir(parents=True)
    path.parent.chmod(0o755)
    return str(path)


def test_claims_keep_what_elasticsearch_had_not_accepted_when_the_pod_ended(
    installation: Installation, volumes: None
) -> None:
    run_kubectl("delete", "deployment", "scoring")
    wait_until(lambda: not read_pods(SERVICE), 300, "the end of the pods with empty directories")
    run_kubectl("apply", "-k", str(installation.folder / "persistent"))
    try:
        run_kubectl("rollout", "status", "statefulset/scoring", "--timeout=300s")
        load = send_load(installation, rate=10, seconds=60)
        (before,) = [pod for pod in read_pods(SERVICE) if pod["metadata"]["name"] == "scoring-0"]
        with stop_elasticsearch():
            run_kubectl("delete", "pod", "scoring-0", "--timeout=200s")
        wait_until(lambda: is_replaced(before["metadata"]["uid"]), 200, "the next pod with the same claims")
        run_kubectl("rollout", "status", "statefulset/scoring", "--timeout=300s")
        assert_each_response_has_one_event(load, unanswered=True)
    finally:
        run_kubectl("delete", "statefulset", "scoring", "--ignore-not-found")
        wait_until(lambda: not read_pods(SERVICE), 300, "the end of the pods with claims")
        run_kubectl("apply", "-k", str(installation.folder / "trial"))


def is_replaced(uid: str) -> bool:
    return any(pod["metadata"]["name"] == "scoring-0" and pod["metadata"]["uid"] != uid for pod in read_pods(SERVICE))
