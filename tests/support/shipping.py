"""Log files, shippers, and the ids of stored documents."""

import io
import sys
import threading
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import elasticsearch.helpers
import orjson

from inferlog_ops.core.cluster import Cluster
from inferlog_ops.ship.pipeline import ShipOutcome
from inferlog_ops.ship.settings import ShipSettings
from inferlog_ops.ship.shipper import Shipper, open_shipper
from inferlog_ops.ship.status import Display
from tests.support.polling import wait_until

QUICK = ShipSettings(
    first_backoff_seconds=0.01,
    longest_backoff_seconds=0.05,
    poll_seconds=0.02,
    save_seconds=0.02,
    stop_seconds=3.0,
    heartbeat_seconds=0.0,
)


def build_event_line(event_id: str, **fields: Any) -> bytes:
    """Return a line that is valid in every stream."""
    event = {"id": event_id, "dataset": "inference.events"}
    return orjson.dumps(
        {"@timestamp": "2026-11-23T06:15:00.123456Z", "event": event, **fields}, option=orjson.OPT_APPEND_NEWLINE
    )


def make_event_ids(count: int, prefix: str = "e") -> list[str]:
    return [f"{prefix}{number:06d}" for number in range(count)]


def write_events(path: Path, ids: Iterable[str], **fields: Any) -> Path:
    """Append a line for each of *ids*."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("ab") as file:
        file.write(b"".join(build_event_line(event_id, **fields) for event_id in ids))
    return path


@dataclass
class ShipperDirs:
    """The directories of one shipper."""

    root: Path
    said: io.StringIO = field(default_factory=io.StringIO)

    @property
    def logs(self) -> Path:
        return self.root / "logs"

    @property
    def state(self) -> Path:
        return self.root / "state"

    @property
    def events(self) -> Path:
        return self.logs / "events-scoring-1-1.jsonl"

    @property
    def dead_letters(self) -> list[dict[str, Any]]:
        path = self.state / "dead_letters.jsonl"
        return [orjson.loads(line) for line in path.read_bytes().splitlines()] if path.exists() else []

    def wait_for_letters(self, count: int) -> None:
        wait_until(lambda: len(self.dead_letters) == count, 20, f"{count} dead letters")

    @property
    def offsets(self) -> dict[str, int]:
        """Saved offsets in bytes by file."""
        path = self.state / "positions.json"
        files = orjson.loads(path.read_bytes())["files"] if path.exists() else {}
        return {name: row["position"] for name, row in files.items()}

    def read_published(self, folder: str = "") -> dict[str, int]:
        """Offsets in bytes by file, as published to the services in *folder*."""
        (path,) = (self.logs / folder / ".shipped").glob("*.json")
        content = orjson.loads(path.read_bytes())
        assert content["version"] == 1
        positions: dict[str, int] = content["positions"]
        return positions

    @contextmanager
    def open_shipper(
        self,
        cluster: Cluster,
        settings: ShipSettings = QUICK,
        *,
        stats_file: Path | None = None,
        replay: bool = False,
    ) -> Iterator[Shipper]:
        """Yield a shipper that is ready to run."""
        self.logs.mkdir(parents=True, exist_ok=True)
        display = Display(self.said, pause_seconds=0.05)
        with open_shipper(
            cluster=cluster,
            logs=self.logs,
            state_dir=self.state,
            display=display,
            settings=settings,
            stats_file=stats_file,
            replay=replay,
        ) as ready:
            yield ready

    def ship_once(self, cluster: Cluster, settings: ShipSettings = QUICK, *, replay: bool = False) -> ShipOutcome:
        """Ship all existing lines, or fail the test."""
        with self.open_shipper(cluster, settings, replay=replay) as ready:
            outcome = ready.run(once=True, timeout_seconds=60.0)
        assert outcome.complete, self.said.getvalue()
        return outcome

    @contextmanager
    def run_shipper(
        self, cluster: Cluster, settings: ShipSettings = QUICK, *, replay: bool = False
    ) -> Iterator[Shipper]:
        """Run a shipper until the end of the block."""
        with self.open_shipper(cluster, settings, replay=replay) as ready:
            failures: list[BaseException] = []

            def work() -> None:
                try:
                    ready.run(once=False)
                except BaseException as error:  # noqa: BLE001 (raised again below)
                    failures.append(error)

            thread = threading.Thread(target=work)
            thread.start()
            try:
                yield ready
            finally:
                ready.stop()
                thread.join()
                if failures:
                    raise failures[0]


def count_stored_ids(cluster: Cluster, stream: str = "events") -> Counter[str]:
    """Return the number of documents per id in a stream of a real Elasticsearch."""
    index = f"logs-inference.{stream}-{cluster.namespace}"
    with cluster.build_client() as client:
        client.indices.refresh(index=index)
        hits = elasticsearch.helpers.scan(client, index=index, query={"_source": False}, size=5_000)
        return Counter(hit["_id"] for hit in hits)


def ship_command(*arguments: str | Path) -> list[str]:
    """Return the command line of ``inferlog ship`` with *arguments*."""
    return [sys.executable, "-m", "inferlog_ops.cli.main", "ship", *map(str, arguments)]
