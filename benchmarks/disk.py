"""
Disk usage of an event, in log files and in an embedded Elasticsearch.

    .venv/bin/python -m benchmarks.disk

The same day of events (see day_of_events.py) goes into three data streams: as provisioned (logsdb with the original
source), in Elasticsearch's standard mode with the same mapping, and in logsdb with synthetic source, which rebuilds
each document from its fields. Each is merged into one segment before it is measured. A million events of each take
about ten minutes and 3 GB of disk.
"""

import argparse
import warnings
from collections.abc import Mapping
from dataclasses import dataclass

from elasticsearch import Elasticsearch
from elasticsearch.exceptions import GeneralAvailabilityWarning

from benchmarks import command_line
from benchmarks.benchmark_report import BenchmarkReport, Table, show_report
from benchmarks.command_line import log_progress
from benchmarks.day_of_events import generate_events, send_all
from benchmarks.engines import Engine, open_engine
from inferlog_ops.core.cluster import Cluster
from inferlog_ops.core.streams import build_stream_name
from inferlog_ops.provision.elasticsearch import provision_cluster

PROVISIONED, STANDARD, SYNTHETIC = "logsdb, as provisioned", "standard mode", "logsdb, synthetic source"
MODES: Mapping[str, dict[str, object]] = {
    PROVISIONED: {},
    STANDARD: {"mode": "standard"},
    SYNTHETIC: {"mapping": {"source": {"mode": "synthetic"}}},
}
"""Index settings of each mode that differ from the templates."""
ABOVE_OURS = 900
"""Template priority above the project's own templates."""
HEAVIEST_FIELDS = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class DiskUsage:
    """
    Disk usage of a number of events.

    Attributes:
        events: Number of events.
        file_bytes: Size as lines in files.
        stored_bytes: Size in the store, by mode.
    """

    events: int
    file_bytes: int
    stored_bytes: dict[str, int]


def main() -> None:
    options = parse_options()
    with open_engine(url=options.url) as started:
        weighed = [weigh(started, events) for events in sorted(options.events)]
        fields = find_heaviest_fields(
            Cluster(url=started.url, namespace=build_namespace(PROVISIONED, weighed[-1].events))
        )
    figures = {"weighed": weighed, "fields_bytes": fields}
    show_report(
        BenchmarkReport(figures=figures, tables=[build_table(weighed), build_fields_table(fields, weighed[-1].events)]),
        options,
    )


def parse_options() -> argparse.Namespace:
    parser = command_line.make_parser(__doc__)
    parser.add_argument("--events", type=int, nargs="+", help="events per mode; default: 10 k, 100 k, 1 M, quick 10 k")
    parser.add_argument("--url", help="cluster to use; default: start an engine")
    return command_line.parse_options(parser, full={"events": [10_000, 100_000, 1_000_000]}, quick={"events": [10_000]})


def weigh(started: Engine, events: int) -> DiskUsage:
    """Index *events* events in each mode, and return their disk usage."""
    stored_bytes = {}
    for mode in MODES:
        log_progress(f"{events:,} events, {mode}")
        cluster = Cluster(url=started.url, namespace=build_namespace(mode, events))
        with cluster.build_client(request_timeout_seconds=600) as client:
            make_stream(client, cluster, MODES[mode])
            stream = build_stream_name("events", cluster.namespace)
            send_all(client, stream, generate_events(events))
            stored_bytes[mode] = measure_settled_bytes(client, stream, events)
    file_bytes = sum(len(line) + 1 for _, line in generate_events(events))
    return DiskUsage(events=events, file_bytes=file_bytes, stored_bytes=stored_bytes)


def make_stream(client: Elasticsearch, cluster: Cluster, settings: dict[str, object]) -> None:
    """Create the streams of an unused namespace, with *settings* overriding the templates."""
    if settings:
        # The templates are shared by all namespaces, and must exist before they are overridden for one.
        provision_cluster(Cluster(url=cluster.url, namespace=build_namespace(PROVISIONED, 0)))
        ours = client.indices.get_index_template(name="inferlog-events")["index_templates"][0]["index_template"]
        template = ours.get("template", {})
        client.indices.put_index_template(
            name=f"benchmark-{cluster.namespace}",
            index_patterns=[build_stream_name("events", cluster.namespace)],
            priority=ABOVE_OURS,
            data_stream={},
            composed_of=ours["composed_of"],
            ignore_missing_component_templates=ours["ignore_missing_component_templates"],
            template={**template, "settings": {"index": settings}},
        )
    provision_cluster(cluster)


def measure_settled_bytes(client: Elasticsearch, stream: str, events: int) -> int:
    """Merge *stream* into one segment, and return its size."""
    client.indices.forcemerge(index=stream, max_num_segments=1)
    client.indices.flush(index=stream, wait_if_ongoing=True, force=True)
    client.indices.refresh(index=stream)
    # Not from the index statistics: they are up to 10 s old, and include merged segments until these are deleted.
    (index,) = client.indices.segments(index=stream)["indices"].values()
    ((shard,),) = index["shards"].values()
    (segment,) = shard["segments"].values()
    assert segment["num_docs"] == events
    size: int = segment["size_in_bytes"]
    return size


def find_heaviest_fields(cluster: Cluster) -> dict[str, int]:
    """Return the largest fields of a stream, in bytes."""
    stream = build_stream_name("events", cluster.namespace)
    with cluster.build_client(request_timeout_seconds=600) as client, warnings.catch_warnings():
        warnings.simplefilter("ignore", GeneralAvailabilityWarning)  # a technical preview is enough here
        answer = client.indices.disk_usage(index=stream, run_expensive_tasks=True)
    (usage,) = (found["fields"] for name, found in answer.items() if name != "_shards")
    sizes = {name: of_field["total_in_bytes"] for name, of_field in usage.items()}
    return dict(sorted(sizes.items(), key=lambda field: -field[1])[:HEAVIEST_FIELDS])


def build_table(weighed: list[DiskUsage]) -> Table:
    most = weighed[-1]
    rows = [("lines in files", *(f"{each.file_bytes / each.events:.0f}" for each in weighed), "1.00")]
    rows += [
        (
            mode,
            *(f"{each.stored_bytes[mode] / each.events:.0f}" for each in weighed),
            f"{most.stored_bytes[mode] / most.file_bytes:.2f}",
        )
        for mode in MODES
    ]
    columns = ("bytes an event", *(f"of {each.events:,}" for each in weighed), "to the files")
    return Table(title="What an event takes on disk, after a merge into one segment", columns=columns, rows=rows)


def build_fields_table(fields: dict[str, int], events: int) -> Table:
    rows = [(name, f"{size / events:.0f}") for name, size in fields.items()]
    return Table(
        title=f"What takes the most room in logsdb, of {events:,}", columns=("field", "bytes an event"), rows=rows
    )


def build_namespace(mode: str, events: int) -> str:
    return f"disk.{list(MODES).index(mode)}.{events}"


if __name__ == "__main__":
    command_line.run_main(main)
