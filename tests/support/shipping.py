"""Log files to ship, shippers to ship them, and what the store then holds."""

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
from inferlog_ops.ship.display import Display
from inferlog_ops.ship.main import Outcome
from inferlog_ops.ship.settings import Settings
from inferlog_ops.ship.shipper import Shipper, shipper
from tests.support.polling import wait_until

QUICK = Settings(
    first_backoff_seconds=0.01,
    longest_backoff_seconds=0.05,
    poll_seconds=0.02,
    save_seconds=0.02,
    stop_seconds=3.0,
    heartbeat_seconds=0.0,
)


def event_line(event_id: str, **fields: Any) -> bytes:
    """Return a line that every stream takes."""
    event = {"id": event_id, "dataset": "inference.events"}
    return orjson.dumps(
        {"@timestamp": "2026-11-23T06:15:00.123456Z", "event": event, **fields}, option=orjson.OPT_APPEND_NEWLINE
    )


def event_ids(count: int, prefix: str = "e") -> list[str]:
    """Return ids that differ."""
    return [f"{prefix}{number:06d}" for number in range(count)]


def write_events(path: Path, ids: Iterable[str], **fields: Any) -> Path:
    """Append a line for each of *ids*."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("ab") as file:
        file.write(b"".join(event_line(event_id, **fields) for event_id in ids))
    return path


@dataclass
class Place:
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
        """Return once there are *count* dead letters."""
        wait_until(lambda: len(self.dead_letters) == count, 20, f"{count} dead letters")

    @property
    def positions(self) -> dict[str, int]:
        """Answered bytes by file, as they are saved."""
        path = self.state / "positions.json"
        files = orjson.loads(path.read_bytes())["files"] if path.exists() else {}
        return {name: row["position"] for name, row in files.items()}

    def published(self, folder: str = "") -> dict[str, int]:
        """Answered bytes by file, as they are told to the writers of *folder*."""
        (path,) = (self.logs / folder / ".shipped").glob("*.json")
        content = orjson.loads(path.read_bytes())
        assert content["version"] == 1
        positions: dict[str, int] = content["positions"]
        return positions

    @contextmanager
    def shipper(
        self,
        cluster: Cluster,
        settings: Settings = QUICK,
        *,
        stats_file: Path | None = None,
        replay: bool = False,
    ) -> Iterator[Shipper]:
        """Give a shipper that has not begun."""
        self.logs.mkdir(parents=True, exist_ok=True)
        display = Display(self.said, pause_seconds=0.05)
        with shipper(
            cluster=cluster,
            logs=self.logs,
            state_dir=self.state,
            display=display,
            settings=settings,
            stats_file=stats_file,
            replay=replay,
        ) as ready:
            yield ready

    def ship_once(self, cluster: Cluster, settings: Settings = QUICK, *, replay: bool = False) -> Outcome:
        """Ship what is there; all of it, or the test fails."""
        with self.shipper(cluster, settings, replay=replay) as ready:
            outcome = ready.run(once=True, timeout_seconds=60.0)
        assert outcome.complete, self.said.getvalue()
        return outcome

    @contextmanager
    def tailing(self, cluster: Cluster, settings: Settings = QUICK, *, replay: bool = False) -> Iterator[Shipper]:
        """Have a shipper at work until the end of the block."""
        with self.shipper(cluster, settings, replay=replay) as ready:
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


def stored_ids(cluster: Cluster, stream: str = "events") -> Counter[str]:
    """Return how often each id stands in a stream of a real Elasticsearch."""
    index = f"logs-inference.{stream}-{cluster.namespace}"
    with cluster.client() as client:
        client.indices.refresh(index=index)
        hits = elasticsearch.helpers.scan(client, index=index, query={"_source": False}, size=5_000)
        return Counter(hit["_id"] for hit in hits)


def ship_command(*arguments: str | Path) -> list[str]:
    """Return the command line of ``inferlog ship`` with *arguments*."""
    return [sys.executable, "-m", "inferlog_ops.cli.main", "ship", *map(str, arguments)]
