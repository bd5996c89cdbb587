"""Shippers and their engine, killed while events are written."""

import random
import subprocess
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson
import pytest
from elasticsearch import Elasticsearch

from inferlog_ops.core.cluster import Cluster
from inferlog_ops.provision.elasticsearch import provision_cluster
from tests.support.own_engine import OwnEngine
from tests.support.polling import wait_until
from tests.support.shipping import ShipperDirs, build_event_line, count_stored_ids, make_event_ids, ship_command

EVENTS = 20_000
BAD_LINES = 40
FILES = 6
KILLS = 10
JSON = {"accept": "application/json"}


@dataclass
class Writers:
    """
    Writes lines into several files at once, in pieces that end anywhere.

    Attributes:
        logs: Where the files lie.
        chance: Decides where pieces end.
        released: How much of everything may have been written, from 0 to 1. The writers lag behind by up to a second.
    """

    logs: Path
    chance: random.Random
    released: float = 0.0
    ids: list[str] = field(default_factory=lambda: make_event_ids(EVENTS))

    @contextmanager
    def write_in_background(self) -> Iterator[None]:
        """Write during the block, and the remaining lines at its end."""
        ended = threading.Event()
        thread = threading.Thread(target=self._write, args=(ended,))
        thread.start()
        try:
            yield
        finally:
            ended.set()
            thread.join()

    def _write(self, ended: threading.Event) -> None:
        lines = [build_event_line(event_id, message="x" * self.chance.randrange(300)) for event_id in self.ids]
        lines += [b'{"bad":%d\n' % number for number in range(BAD_LINES)]
        self.chance.shuffle(lines)
        contents = [b"".join(lines[number::FILES]) for number in range(FILES)]
        self.logs.mkdir(parents=True, exist_ok=True)
        with ExitStack() as open_files:
            paths = [self.logs / f"events-scoring-{number}-0001.jsonl" for number in range(FILES)]
            files = [open_files.enter_context(path.open("ab", buffering=0)) for path in paths]
            while not ended.wait(0.02):
                for file, content in zip(files, contents, strict=True):
                    most = min(int(len(content) * self.released), file.tell() + len(content) // 400)
                    file.write(content[file.tell() : self.chance.randint(file.tell(), max(file.tell(), most))])
            for file, content in zip(files, contents, strict=True):
                file.write(content[file.tell() :])


def kill_at_random_moment(shipper: "subprocess.Popen[bytes]", stats: Path, chance: random.Random) -> None:
    """Kill *shipper* up to a second after it has started to ship."""
    before = stats.stat().st_mtime_ns if stats.exists() else 0
    wait_until(lambda: stats.exists() and stats.stat().st_mtime_ns != before, 30, "the shipper's start")
    with pytest.raises(subprocess.TimeoutExpired):
        shipper.wait(chance.random())
    shipper.kill()
    shipper.wait()


def find_bulk_requests(client: Elasticsearch) -> dict[str, Any]:
    """Return the bulk requests that Elasticsearch is carrying out, by node."""
    tasks = client.perform_request("GET", "/_tasks?actions=indices:data/write/bulk*", headers=JSON).body
    return dict(tasks["nodes"])


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[OwnEngine]:
    engine = OwnEngine(tmp_path / "home")
    engine.start()
    yield engine
    engine.stop()


@pytest.mark.timeout(240)
def test_no_line_is_lost_or_duplicated_when_shipper_and_engine_are_killed(
    engine: OwnEngine, place: ShipperDirs
) -> None:
    seed = random.randrange(10**6)
    chance = random.Random(seed)
    cluster = Cluster(url=engine.url, namespace="kill")
    stats = place.root / "stats.json"
    command = ship_command(
        *("--from", place.logs, "--to", engine.url, "--state", place.state, "--namespace", "kill"),
        *("--stats-file", stats, "--heartbeat", "0.1"),
    )
    writers = Writers(place.logs, chance)
    with writers.write_in_background():
        for kill in range(KILLS):
            writers.released = (kill + 1) / KILLS
            with (
                (place.root / f"stderr-{kill}").open("wb") as stderr,
                subprocess.Popen(command, stderr=stderr) as shipper,
            ):
                if kill == 0:
                    said = Path(stderr.name)
                    wait_until(lambda: "inferlog provision" in said.read_text(), 60, "advice")  # noqa: B023
                    provision_cluster(cluster)
                if kill == 4:
                    engine.kill()
                kill_at_random_moment(shipper, stats, chance)
            if kill == 5:
                engine.start()
            if kill in (2, 7):
                with cluster.build_client() as client:
                    # One that runs after the rollover stores its events again: the limit in docs/reliability.md.
                    wait_until(lambda: not find_bulk_requests(client), 60, "the last request of the shipper")
                    client.indices.rollover(alias="logs-inference.events-kill")
    done = subprocess.run([*command, "--once", "--json", "--timeout", "100"], capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode()
    assert orjson.loads(done.stdout)["pending"] == 0
    found = count_stored_ids(cluster)
    assert found.keys() == set(writers.ids)
    assert [event_id for event_id, times in found.items() if times > 1] == []
    own_lines = [line for path in place.logs.glob("health-*") for line in path.read_bytes().splitlines()]
    assert len(own_lines) > KILLS
    assert count_stored_ids(cluster, "health") == Counter(orjson.loads(line)["event"]["id"] for line in own_lines)
    letters = [letter["line"] for letter in place.dead_letters]
    assert sorted(letters) == sorted(f'{{"bad":{number}' for number in range(BAD_LINES))
