"""The container stack in operation: rotations, upgrade, full log volume, dead letters, existing cluster, deletion."""

import json
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from tests import ROOT
from tests.docker.stack import EVENTS, LOGS, Stack
from tests.support.polling import wait_until

pytestmark = [pytest.mark.docker, pytest.mark.timeout(1800)]

ELASTICSEARCH_PORT, KIBANA_PORT = 29200, 25601
STATE = "/fluentd/state"
LAST_DAYS = """
from datetime import UTC, datetime, timedelta
from inferlog_ops.provision.stack.prepare import renew_certificates
from inferlog_ops.provision.stack.settings import StackSettings
renew_certificates(StackSettings(), datetime.now(UTC) - timedelta(days=800))
"""
"""Certificates as they are 800 days later: 25 days before their end."""


@pytest.mark.parametrize("name", ["elastic", "kibana_system", "operator", "fluentd", "dashboards", "summarize"])
def test_nothing_is_lost_when_a_secret_is_rotated(stack: Stack, name: str) -> None:
    fluentd = stack.inspect("fluentd")["State"]["StartedAt"]
    with stack.send_traffic(rate=10, seconds=20) as traffic:
        traffic.wait_for(20)
        stack.compose("run", "--rm", "-T", "rotate", name)
        if name == "kibana_system":
            stack.compose("restart", "kibana")
    stack.wait_until_complete()
    stack.assert_nothing_lost(traffic)
    assert stack.inspect("fluentd")["State"]["StartedAt"] == fluentd, "it reads its new key without a restart"


def test_new_certificates_are_taken_up(stack: Stack) -> None:
    before = stack.read_certificate_end(ELASTICSEARCH_PORT)
    stack.compose("run", "--rm", "-T", "prepare", "rotate", "certificates")
    stack.compose("restart", "kibana")
    with stack.send_traffic(rate=10, seconds=10) as traffic:
        traffic.wait_for(20)
    stack.wait_until_complete()
    stack.assert_nothing_lost(traffic)
    assert stack.read_certificate_end(ELASTICSEARCH_PORT) > before


def test_certificates_in_their_last_30_days_are_renewed_by_the_next_start(stack: Stack) -> None:
    stack.compose("run", "--rm", "-T", "--entrypoint", "python", "prepare", "-c", LAST_DAYS)
    stack.compose("restart", "kibana")
    stack.wait_until_complete()
    soon = datetime.now(UTC) + timedelta(days=30)
    ports = (ELASTICSEARCH_PORT, KIBANA_PORT)
    wait_until(
        lambda: all(stack.read_certificate_end(port) < soon for port in ports), 60, "the certificates that end soon"
    )
    with stack.send_traffic(rate=10, seconds=20) as traffic:  # starts prepare, too
        traffic.wait_for(20)
        stack.run("scripts/up")
    stack.wait_until_complete()
    wait_until(lambda: all(stack.read_certificate_end(port) > soon for port in ports), 60, "the renewed certificates")
    stack.assert_nothing_lost(traffic)


def test_upgraded_images_keep_the_volumes_and_lose_nothing(stack: Stack) -> None:
    before = {name: stack.inspect(name)["Image"] for name in ("app", "fluentd")}
    volumes = stack.list_owned("volume")
    for changed in ("app/inferlog_server/__init__.py", "fluentd/healthcheck.rb"):
        with (stack.root / changed).open("a") as file:
            file.write("# The next version.\n")
    stack.compose("build", INFERLOG_VERSION="trial-next")
    try:
        with stack.send_traffic(rate=10, seconds=60) as traffic:
            traffic.wait_for(50)
            stack.bring_up(INFERLOG_VERSION="trial-next")
            after = {name: stack.inspect(name)["Image"] for name in before}
        stack.wait_until_complete()
        assert all(after[name] != before[name] for name in before)
        assert stack.list_owned("volume") == volumes
        stack.assert_nothing_lost(traffic)
    finally:
        stack.bring_up()
        images = [f"inferlog-{name}:trial-next" for name in ("app", "setup", "fluentd", "traffic")]
        stack.run("docker", "image", "rm", *images)
    stack.wait_until_complete()


def test_full_log_volume_stops_no_request_and_every_loss_is_counted(stack: Stack) -> None:
    assert stack.wait_for_exit("sample-traffic") == 0, "no other requests may be lost"
    before = {row["service.instance.id"] for row in stack.query("lost_events")}
    with stack.mount_small_volume("logs", LOGS, mebibytes=8) as small:
        with small.send_traffic(rate=10, seconds=45) as traffic:
            traffic.wait_for(50)
            small.compose("exec", "-T", "app", "sh", "-c", f"cat /dev/zero >{LOGS}/filler; true")
            traffic.wait_for(100)
            small.compose("exec", "-T", "app", "rm", f"{LOGS}/filler")
            traffic.wait_for(50)
        found = small.reconcile(traffic.records, wait_seconds=20)
        said = small.read_logs("app")
    unanswered = {name: found["outcomes"].get(name, 0) for name in ("unanswered", "broken", "abandoned")}
    assert unanswered == dict.fromkeys(unanswered, 0), found
    assert (found["duplicated"], found["events_without_request"]) == (0, 0), found
    assert found["lost"] > 0
    assert f"lost: {LOGS}: No space left on device" in said

    def counted() -> int:
        return sum(row["lost"] for row in stack.query("lost_events") if row["service.instance.id"] not in before)

    wait_until(lambda: counted() >= found["lost"], 60, "the heartbeat that counts the lost events")
    assert counted() == found["lost"]


def write_line(stack: Stack, line: str) -> None:
    """Append *line* to a log file of the app, as another program could."""
    program = f"open('{LOGS}/events-bad-1-1.jsonl', 'a').write({line!r} + chr(10))"
    stack.compose("exec", "-T", "app", "python", "-c", program)


def build_event(**fields: Any) -> tuple[str, str]:
    """Return the id and the line of an event with *fields*."""
    event_id = uuid4().hex
    now = datetime.now(UTC).isoformat().replace("+00:00", "Z")
    return event_id, json.dumps({"@timestamp": now, "event": {"id": event_id}, **fields})


def count_letters(stack: Stack) -> int:
    """Return the number of dead letters that `redrive --list` finds."""
    return sum(row["letters"] for row in json.loads(stack.compose("run", "--rm", "-T", "redrive", "--list", "--json")))


def is_fluentd(stack: Stack, health: str) -> bool:
    """Return whether the health of Fluentd is *health*, ``healthy`` or ``unhealthy``."""
    return bool(stack.inspect("fluentd")["State"]["Health"]["Status"] == health)


def test_lines_wait_while_the_buffer_of_fluentd_is_full(stack: Stack) -> None:
    service = f"batch{uuid4().hex[:8]}"
    with stack.mount_small_volume(
        "fluentd-state", STATE, mebibytes=32, INFERLOG_FLUENTD_TOTAL_LIMIT_SIZE="16m"
    ) as small:
        small.kill("elasticsearch")
        small.record_events(service, 100_000)
        wait_until(lambda: is_fluentd(small, "unhealthy"), 180, "a full buffer")
        small.compose("restart", "fluentd")
        small.start("elasticsearch")
        small.wait_until_complete()
        small.assert_each_stored_once(service, 100_000, 600)
        assert count_letters(small) == 0, "a stop with a full buffer makes no dead letters"


def test_lines_wait_while_the_volume_of_fluentd_is_full(stack: Stack) -> None:
    filler = f"{STATE}/filler"
    with stack.mount_small_volume(
        "fluentd-state", STATE, mebibytes=32, INFERLOG_FLUENTD_TOTAL_LIMIT_SIZE="16m"
    ) as small:
        with small.send_traffic(rate=20, seconds=60) as traffic:
            traffic.wait_for(50)
            small.compose("exec", "-T", "fluentd", "sh", "-c", f"cat /dev/zero >{filler}; true")
            write_line(small, build_event(latency_seconds="slow")[1])
            wait_until(lambda: is_fluentd(small, "unhealthy"), 120, "Fluentd without room")
            small.compose("restart", "fluentd")
            traffic.wait_for(50)
            small.compose("run", "--rm", "-T", "--entrypoint", "rm", "redrive", filler)
        small.wait_until_complete()
        small.assert_nothing_lost(traffic)
        wait_until(lambda: count_letters(small) > 0, 60, "the dead letter")
        assert count_letters(small) == 1, "only the rejected line"


def test_rejected_lines_are_counted_and_listed(stack: Stack) -> None:
    def count() -> int:
        return sum(row["refused"] + row["refused_before"] for row in stack.query("refused_of_late"))

    listed, counted = count_letters(stack), count()
    write_line(stack, build_event(latency_seconds="slow")[1])
    write_line(stack, "{cut")
    wait_until(lambda: count_letters(stack) >= listed + 2, 60, "the dead letters")
    wait_until(lambda: count() >= counted + 2, 60, "the heartbeat that counts them")


def test_redrive_indexes_dead_letters_once_their_cause_is_fixed(stack: Stack) -> None:
    event_id, line = build_event(trial="a text")
    with stack.superuser.build_client() as client:

        def is_found() -> bool:
            client.indices.refresh(index=EVENTS)
            return bool(client.count(index=EVENTS, query={"ids": {"values": [event_id]}})["count"])

        client.indices.put_mapping(index=EVENTS, write_index_only=True, properties={"trial": {"type": "long"}})
        listed = count_letters(stack)
        write_line(stack, line)
        wait_until(lambda: count_letters(stack) > listed, 60, "the dead letter")
        assert not is_found()
        client.indices.rollover(alias=EVENTS)  # the next index has the mapping of the template
        done = stack.run("docker", "compose", "run", "--rm", "-T", "redrive", "--json", check=False)
        assert sum(tally["created"] for tally in json.loads(done.stdout)) == 1, done
        assert is_found()
        again = stack.run("docker", "compose", "run", "--rm", "-T", "redrive", "--json", check=False)
        assert sum(tally["created"] for tally in json.loads(again.stdout or "[]")) == 0


def test_app_and_fluentd_ship_to_an_existing_cluster(stack: Stack, tmp_path: Path) -> None:
    """The steps of docs/existing_cluster.md in another project; the existing Elasticsearch is that of this one."""
    page = (ROOT / "docs/existing_cluster.md").read_text()
    body, _of_summarize = re.findall(r"```json\n\s*POST /_security/api_key\n(.*?)```", page, re.DOTALL)
    (command,) = re.findall(r"docker compose -f .* --wait", page)
    with stack.superuser.build_client() as client:
        manager = client.security.create_api_key(name="manager")
        shipper = client.security.create_api_key(**json.loads(body))
    key = f"{manager['id']}:{manager['api_key']}"
    done = stack.run_inferlog("provision", "--namespace", "own", key=key)
    assert done.returncode == 0, done.stderr
    secrets = tmp_path / "secrets"
    secrets.mkdir(mode=0o750)
    (secrets / "elasticsearch_api_key").write_text(f"{shipper['id']}:{shipper['api_key']}\n")
    (secrets / "ca.crt").write_bytes(stack.ca_file.read_bytes())
    own = stack.derive_project(
        "own",
        COMPOSE_FILE="docker-compose.yml:infra/compose/existing-cluster.yml",
        APP_PORTS="28100",
        ELASTICSEARCH_URL="https://elasticsearch:9200",
        INFERLOG_CLUSTER_SECRETS=str(secrets),
        INFERLOG_CLUSTER_CA_FILE="/secrets/ca.crt",
        INFERLOG_NAMESPACE="own",
    )
    elasticsearch = stack.find_container("elasticsearch")
    try:
        own.run(*command.split())
        with own.send_traffic(rate=10, seconds=15) as traffic:
            traffic.wait_for(20)
            stack.run(
                "docker", "network", "connect", "--alias", "elasticsearch", *own.list_owned("network"), elasticsearch
            )
        assert stack.assert_nothing_lost(traffic, "--namespace", "own")["with_event"] > 100
    finally:
        for network in own.list_owned("network"):
            stack.run("docker", "network", "disconnect", "--force", network, elasticsearch, check=False)
        own.compose("--profile", "*", "down", "--volumes", "--timeout", "5")


def test_down_deletes_the_data_only_with_delete_data(stack: Stack) -> None:
    other = stack.derive_project("deleted")
    other.compose("--profile", "*", "create")
    other.bring_up("prepare")
    assert other.wait_for_exit("prepare") == 0
    volumes = other.list_owned("volume")
    assert len(volumes) == len(stack.list_owned("volume"))
    other.run("scripts/down")
    assert (other.list_owned("container"), other.list_owned("network"), other.list_owned("volume")) == (
        set(),
        set(),
        volumes,
    )
    other.run("scripts/down", "--delete-data")
    assert other.list_owned("volume") == set()
    assert stack.is_complete(), "the data of another project stays"
