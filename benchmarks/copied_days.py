"""Streams with several copies of the same day of events: a size that would take an hour to index, as links to files."""

from elasticsearch import Elasticsearch

from benchmarks.command_line import log_progress
from inferlog_ops.core.cluster import Cluster
from inferlog_ops.core.streams import build_stream_name, build_summaries_stream_name


def copy_day(source: Cluster, copies: int) -> Cluster:
    """
    Give the events of *source* *copies* times to the streams of another namespace of the same cluster, and return it.

    Each copy is an index with the files of the original, as after that many rollovers. Ids and sequence numbers repeat,
    so queries for duplicates have fewer groups than in a real day. Heartbeats and summaries are those of *source*.
    """
    target = Cluster(url=source.url, namespace=f"{source.namespace}x{copies}")
    events = build_stream_name("events", target.namespace)
    with source.build_client(request_timeout_seconds=600) as client:
        if not client.indices.exists_alias(name=events):
            log_progress(f"copying the events of {source.namespace} {copies} times")
            original = _close_index(client, build_stream_name("events", source.namespace))
            names = [f"benchmark-copy-{target.namespace}-{number}" for number in range(copies)]
            for name in names:
                client.indices.clone(index=original, target=name, settings={"index.number_of_replicas": 0})
            whole = {
                build_stream_name("health", source.namespace): build_stream_name("health", target.namespace),
                build_summaries_stream_name(source.namespace): build_summaries_stream_name(target.namespace),
            }
            aliases = [(name, events) for name in names] + list(whole.items())
            client.indices.update_aliases(actions=[{"add": {"index": one, "alias": alias}} for one, alias in aliases])
    return target


def _close_index(client: Elasticsearch, stream: str) -> str:
    """Return the index with the documents of *stream*; no longer written to, as a clone requires."""
    first = min(client.indices.get_settings(index=stream))
    if len(client.indices.get_settings(index=stream)) == 1:
        client.indices.rollover(alias=stream)
    client.indices.add_block(index=first, block="write")
    return first
