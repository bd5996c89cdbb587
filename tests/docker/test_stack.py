"""
The container stack for real: start, stop and faults, each compared with the load generator's records.

Run it with: ``.venv/bin/pytest -m docker tests/docker``. Real parts and stand-ins: docs/verification.md.
"""

import threading
from urllib.request import urlopen
from uuid import uuid4

import pytest

from tests.docker.stack import LONG_RUNNING, Stack
from tests.support.polling import wait_until

pytestmark = [pytest.mark.docker, pytest.mark.timeout(1800)]

ONE_SHOTS = ("prepare", "provision", "provision-kibana", "sample-traffic", "ready")
LOGIN = ["Kibana:   https://localhost:25601", "user:     operator"]
WORKER = 'for p in /proc/[0-9]*; do grep -q under-superviso[r] $p/cmdline && kill -9 "${p#/proc/}"; done; true'


def test_fresh_clone_has_a_complete_stack_after_docker_compose_up(stack: Stack) -> None:
    assert not (stack.root / ".env").exists()
    assert {name: stack.wait_for_exit(name) for name in ONE_SHOTS} == dict.fromkeys(ONE_SHOTS, 0)
    assert stack.is_complete()
    *login, password = stack.read_logs("ready", "--tail", "3").splitlines()
    assert login == LOGIN
    assert password.endswith("docker compose run --rm --no-deps prepare show-password")
    for command in (("ps",), ("logs", "--tail", "1", "app"), ("config", "--quiet")):
        stack.compose(*command)


def test_sample_traffic_arrives_and_is_sent_once(stack: Stack) -> None:
    assert stack.wait_for_exit("sample-traffic") == 0
    stack.bring_up()
    assert stack.wait_for_exit("sample-traffic") == 0
    assert "nothing is sent" in stack.read_logs("sample-traffic", "--tail", "5")
    stack.compose("run", "--rm", "-T", "--no-deps", "--entrypoint", "cat", "traffic", "/records/sample.jsonl")


def test_second_start_changes_nothing_and_keeps_the_port(stack: Stack) -> None:
    before = {name: stack.find_container(name) for name in LONG_RUNNING}
    done = stack.run("scripts/up")
    assert done.stdout.splitlines()[-3:-1] == LOGIN
    assert {name: stack.find_container(name) for name in LONG_RUNNING} == before
    stack.compose("restart", "app")
    assert stack.compose("port", "app", "8000") == "127.0.0.1:28000"
    stack.wait_until_complete()


def test_two_starts_at_once_leave_one_network(stack: Stack) -> None:
    results: list[int] = []
    starts = [threading.Thread(target=lambda: results.append(stack.run("scripts/up").returncode)) for _ in range(2)]
    for start in starts:
        start.start()
    for start in starts:
        start.join()
    assert results == [0, 0]
    assert len(stack.list_owned("network")) == 1


def test_reason_of_a_failed_set_up_names_the_setting(stack: Stack) -> None:
    done = stack.run("scripts/up", check=False, settings={"INFERLOG_RETENTION": "a month"})
    assert done.returncode == 1
    assert "INFERLOG_RETENTION is 'a month'; expected" in done.stderr
    stack.bring_up()


@pytest.mark.parametrize("service", ["app", "provision", "traffic"])
def test_images_have_nothing_that_installs_packages(stack: Stack, service: str) -> None:
    program = "import importlib.util as u; print([n for n in ('pip', 'setuptools', 'hatchling') if u.find_spec(n)])"
    command = ("run", "--rm", "--no-deps", "-T", "--entrypoint", "python", service, "-c", program)
    assert stack.compose(*command) == "[]"


@pytest.mark.parametrize("service", LONG_RUNNING)
def test_container_runs_without_privileges(stack: Stack, service: str) -> None:
    known = stack.inspect(service)
    assert known["Config"]["User"] == "1000:0"
    assert known["HostConfig"]["CapDrop"] == ["ALL"]
    assert known["HostConfig"]["ReadonlyRootfs"] is True
    assert known["HostConfig"]["Memory"] > 0


def test_traffic_stops_promptly_with_its_tables(stack: Stack) -> None:
    stack.compose("--profile", "traffic", "up", "--detach", "traffic", TRAFFIC_PORT="28089")
    # Before Locust handles SIGTERM the kernel drops it: it is the first process of its container.
    wait_until(lambda: stack.inspect("traffic")["State"]["Health"]["Status"] == "healthy", 60, "its page")
    stack.compose("--profile", "traffic", "stop", "traffic", TRAFFIC_PORT="28089")
    assert stack.inspect("traffic")["State"]["ExitCode"] == 0, "137 if it was killed at the end of its grace period"
    assert "Response time percentiles" in stack.read_logs("traffic")


def test_nothing_is_lost_when_each_part_is_killed(stack: Stack) -> None:
    with stack.send_traffic(rate=10, seconds=75) as traffic:
        traffic.wait_for(50)
        stack.compose("exec", "-T", "fluentd", "sh", "-c", WORKER)
        for service in ("fluentd", "elasticsearch", "app"):
            traffic.wait_for(50)
            stack.kill(service)
            stack.start(service)
    stack.wait_until_complete()
    stack.assert_nothing_lost(traffic)


def test_nothing_is_lost_when_all_is_killed_at_once(stack: Stack) -> None:
    with stack.send_traffic(rate=10, seconds=30) as traffic:
        traffic.wait_for(100)
        stack.kill(*LONG_RUNNING)
        stack.start(*LONG_RUNNING)
    stack.wait_until_complete(600)
    stack.assert_nothing_lost(traffic)


def test_lines_wait_while_elasticsearch_is_down(stack: Stack) -> None:
    stack.kill("elasticsearch")
    with stack.send_traffic(rate=40, seconds=60) as traffic:
        traffic.wait_for(100)
    stack.start("elasticsearch")
    stack.wait_until_complete()
    assert stack.assert_nothing_lost(traffic)["sent"] > 2000


def test_300_000_lines_wait_in_their_files_while_elasticsearch_is_down(stack: Stack) -> None:
    service = f"batch{uuid4().hex[:8]}"
    stack.kill("elasticsearch")
    stack.record_events(service, 300_000)
    stack.start("elasticsearch")
    stack.wait_until_complete()
    stack.assert_each_stored_once(service, 300_000, 900)


def test_down_keeps_the_data(stack: Stack) -> None:
    with stack.send_traffic(rate=10, seconds=10) as traffic:
        traffic.wait_for(20)
    stack.run("scripts/down")
    stack.bring_up()
    stack.assert_nothing_lost(traffic)


def test_scaled_app_and_canary_ship_their_events(stack: Stack) -> None:
    ports = {"APP_PORTS": "28000-28004", "COMPOSE_PROFILES": "canary"}
    stack.bring_up("--scale", "app=3", **ports)
    with stack.send_traffic(rate=10, seconds=15) as traffic:
        with urlopen("http://127.0.0.1:28010/healthz", timeout=10) as answer:
            assert answer.status == 200
        traffic.wait_for(50)
    stack.assert_nothing_lost(traffic)
    stack.compose("--profile", "canary", "rm", "--stop", "--force", "app-canary")
    stack.bring_up("--scale", "app=1")


def test_set_up_is_completed_after_kibana_was_down(stack: Stack) -> None:
    stack.compose("stop", "kibana")
    done = stack.run(
        "docker",
        "compose",
        "run",
        "--rm",
        "-T",
        "--no-deps",
        "-e",
        "INFERLOG_SETUP_WAIT_SECONDS=2",
        "provision-kibana",
        check=False,
    )
    assert done.returncode == 1
    assert "https://kibana:5601" in done.stderr
    stack.bring_up()
    assert stack.wait_for_exit("provision-kibana") == 0
