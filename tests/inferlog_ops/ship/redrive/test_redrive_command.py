"""The command on the real engine, with letters of a real shipper and in the format of Fluentd."""

import json
from pathlib import Path
from typing import Any
from uuid import uuid4

import orjson
import pytest
from typer.testing import CliRunner

from inferlog_ops.cli.command_list import app
from inferlog_ops.core.cluster import Cluster
from inferlog_ops.core.errors import OperatorError
from tests.support.commands import run
from tests.support.shipping import ShipperDirs, build_event_line, count_stored_ids, write_events


@pytest.fixture
def place(tmp_path: Path) -> ShipperDirs:
    return ShipperDirs(tmp_path)


def redrive(cluster: Cluster, *arguments: object) -> tuple[int, list[dict[str, Any]]]:
    """Run the command in this process; return its exit code and its output."""
    words = ["redrive", "--url", cluster.url, "--namespace", cluster.namespace, "--json", *map(str, arguments)]
    done = CliRunner().invoke(app, words)
    assert done.exception is None or isinstance(done.exception, OperatorError), done.exception
    return done.exit_code, json.loads(done.stdout)


def write_fluentd_letters(folder: Path, *lines: bytes, stream: str = "events") -> Path:
    """Write a dead letter file of Fluentd with *lines*."""
    folder.mkdir(exist_ok=True)
    path = folder / f"inferlog.{stream}.20261123.log"
    path.write_bytes(b"".join(line.rstrip(b"\n") + b"\n" for line in lines))
    return path


def test_fixed_lines_are_sent_once_when_redrive_runs_twice(provisioned: Cluster, place: ShipperDirs) -> None:
    place.logs.mkdir()
    refused = build_event_line("slow", latency_seconds="0.5 s") + build_event_line("late", latency_seconds="0.7 s")
    place.events.write_bytes(b"{half\n" + refused + build_event_line("good"))
    place.ship_once(provisioned)
    letters = place.state / "dead_letters.jsonl"
    code, rows = redrive(provisioned, "--from", place.state, "--list")
    assert code == 0
    assert [(row["stream"], row["letters"], row["can_be_sent"]) for row in rows] == [
        ("events", 2, True),
        ("events", 1, False),
    ]
    assert "failed to parse field [latency_seconds] of type [double]" in rows[0]["reason"]

    letters.write_text(letters.read_text().replace('\\"0.5 s\\"', "0.5"))
    code, (tally,) = redrive(provisioned, "--from", place.state)
    assert (code, tally["created"], tally["refused_again"], tally["cannot_be_sent"]) == (1, 1, 1, 1)
    assert count_stored_ids(provisioned) == {"good": 1, "slow": 1}

    (rest,) = place.state.glob("dead_letters.redrive-*.jsonl")
    whole = json.dumps(build_event_line("whole").decode())
    rest.write_text(rest.read_text().replace('\\"0.7 s\\"', "0.7").replace('"{half"', whole))
    code, (tally,) = redrive(provisioned, "--from", place.state)
    assert (code, tally["created"]) == (0, 2)
    assert count_stored_ids(provisioned) == {"good": 1, "slow": 1, "late": 1, "whole": 1}

    assert redrive(provisioned, "--from", place.state) == (0, [])
    assert len((place.state / "redriven" / "dead_letters.jsonl").read_bytes().splitlines()) == 3


def test_redrive_runs_beside_a_running_shipper(provisioned: Cluster, place: ShipperDirs) -> None:
    write_events(place.events, ["a"], latency_seconds="slow")
    with place.run_shipper(provisioned):
        place.wait_for_letters(1)
        code, _ = redrive(provisioned, "--from", place.state)
        assert code == 1
        write_events(place.events, ["b"], latency_seconds="slow")
        place.wait_for_letters(1)
    (letter,) = place.dead_letters
    assert orjson.loads(letter["line"])["event"]["id"] == "b"


def test_fluentd_letters_are_stored_with_their_ids_when_the_mapping_is_fixed(
    provisioned: Cluster, place: ShipperDirs
) -> None:
    index = f"logs-inference.events-{provisioned.namespace}"
    write_events(place.events, ["there"])
    place.ship_once(provisioned)
    write_fluentd_letters(
        place.root / "dead_letters",
        build_event_line("a", latency_seconds="slow", cost_usd=0.000001),
        build_event_line("a", latency_seconds="slow", cost_usd=0.000001),
        build_event_line("there"),
        b'{"unmatched_line":"{half"}',
    )
    code, (tally,) = redrive(provisioned, "--from", place.root / "dead_letters")
    assert (code, tally["refused_again"], tally["already_there"], tally["cannot_be_sent"]) == (1, 2, 1, 1)
    with provisioned.build_client() as client:
        client.indices.put_index_template(
            name=f"fixed-{provisioned.namespace}",
            index_patterns=[index],
            data_stream={},
            priority=900,
            composed_of=["inferlog-common-settings", "inferlog-embedded"],
            template={"mappings": {"properties": {"latency_seconds": {"type": "keyword"}}}},
        )
        client.indices.rollover(alias=index)
    code, (tally,) = redrive(provisioned, "--from", place.root / "dead_letters")
    assert (code, tally["created"], tally["already_there"], tally["cannot_be_sent"]) == (1, 1, 1, 1)
    assert count_stored_ids(provisioned) == {"there": 1, "a": 1}
    with provisioned.build_client() as client:
        (hit,) = client.search(index=index, query={"ids": {"values": ["a"]}})["hits"]["hits"]
    assert (hit["_source"]["latency_seconds"], hit["_source"]["cost_usd"]) == ("slow", 0.000001)


def test_document_in_an_older_backing_index_is_not_created_again(provisioned: Cluster, place: ShipperDirs) -> None:
    write_events(place.events, ["old"])
    place.ship_once(provisioned)
    assert count_stored_ids(provisioned) == {"old": 1}
    with provisioned.build_client() as client:
        client.indices.rollover(alias=f"logs-inference.events-{provisioned.namespace}")
    path = write_fluentd_letters(place.root, build_event_line("old"), build_event_line("new"))
    code, (tally,) = redrive(provisioned, "--from", path)
    assert (code, tally["already_there"], tally["created"]) == (0, 1, 1)
    assert count_stored_ids(provisioned) == {"old": 1, "new": 1}


def test_dry_run_counts_the_letters_and_changes_nothing(provisioned: Cluster, place: ShipperDirs) -> None:
    write_events(place.events, ["there"])
    place.ship_once(provisioned)
    assert count_stored_ids(provisioned) == {"there": 1}
    path = write_fluentd_letters(place.root, build_event_line("there"), build_event_line("new"), b"no JSON")
    before = path.read_bytes()
    code, (tally,) = redrive(provisioned, "--from", path, "--dry-run")
    assert (code, tally["already_there"], tally["would_be_sent"], tally["cannot_be_sent"]) == (0, 1, 1, 1)
    assert path.read_bytes() == before
    assert [each.name for each in place.root.iterdir() if each.name == "redriven"] == []
    assert count_stored_ids(provisioned) == {"there": 1}


def test_letters_of_every_stream_reach_their_stream(provisioned: Cluster, place: ShipperDirs) -> None:
    for stream in ("events", "app", "health", "content"):
        write_fluentd_letters(place.root / "letters", build_event_line(f"of-{stream}"), stream=stream)
    code, tallies = redrive(provisioned, "--from", place.root / "letters")
    assert (code, [tally["created"] for tally in tallies]) == (0, [1, 1, 1, 1])
    assert {
        stream: set(count_stored_ids(provisioned, stream)) for stream in ("events", "app", "health", "content")
    } == {stream: {f"of-{stream}"} for stream in ("events", "app", "health", "content")}


def test_redrive_prints_a_table_of_outcomes(provisioned: Cluster, place: ShipperDirs) -> None:
    path = write_fluentd_letters(place.root, build_event_line("new"), build_event_line("bad", latency_seconds="slow"))
    listed = run("redrive", "--from", path, "--list")
    assert "refused by Elasticsearch: see Fluentd's own log for the reason" in " ".join(listed.stdout.split())
    done = run("redrive", "--url", provisioned.url, "--namespace", provisioned.namespace, "--from", path)
    assert done.returncode == 1
    assert "created" in done.stdout
    assert "failed to parse field [latency_seconds]" in " ".join(done.stdout.split())
    assert "1 dead letter remains" in done.stderr


def test_redrive_succeeds_without_dead_letters(provisioned: Cluster, place: ShipperDirs) -> None:
    done = run("redrive", "--url", provisioned.url, "--home", place.root)
    assert (done.returncode, done.stdout) == (0, "no dead letters\n")


@pytest.mark.parametrize("options", [[], ["--dry-run"]], ids=["send", "dry run"])
def test_letters_are_not_sent_to_a_mistyped_namespace(
    provisioned: Cluster, place: ShipperDirs, options: list[str]
) -> None:
    path = write_fluentd_letters(place.root, build_event_line("a"))
    namespace = f"mistyped{uuid4().hex[:8]}"
    done = run("redrive", "--url", provisioned.url, "--namespace", namespace, "--from", path, *options)
    assert done.returncode == 1
    command = f"inferlog provision --namespace {namespace}"
    assert f"lacks the stream logs-inference.events-{namespace}; create it with: {command}" in done.stderr
    _, (letters,) = redrive(provisioned, "--from", place.root, "--list")
    assert (letters["letters"], letters["can_be_sent"]) == (1, True)
    with provisioned.build_client() as client:
        assert not client.indices.exists(index=f"logs-inference.events-{namespace}")


def test_missing_stream_is_reported_when_its_failure_store_is_read(provisioned: Cluster) -> None:
    done = run("redrive", "--url", provisioned.url, "--namespace", "nowhere", "--failure-store")
    assert done.returncode == 1
    assert (
        "lacks the stream logs-inference.events-nowhere; create it with: inferlog provision --namespace nowhere"
        in " ".join(done.stderr.split())
    )
