"""``inferlog provision``: templates and data streams, safe to repeat."""

from rich.table import Table

from inferlog_ops.commands.options import HomeDir, Json, Namespace, Url
from inferlog_ops.console import err, out, print_json
from inferlog_ops.home import Home, default_home


def provision(url: Url = None, namespace: Namespace = "default", home: HomeDir = None, json: Json = False) -> None:
    """Put templates, pipeline and data streams into Elasticsearch; a second run changes nothing."""
    from inferlog_ops.cluster import cluster_from
    from inferlog_ops.engine.control import running_url
    from inferlog_ops.provisioning import provision_cluster

    engine_home = Home(home or default_home()).engine
    cluster = cluster_from(url, namespace, fallback_url=None if url else running_url(engine_home))
    provisioned = provision_cluster(cluster, on_progress=lambda text: err.print(text, highlight=False))
    if json:
        print_json([{"name": each.name, "kind": each.kind, "outcome": each.outcome} for each in provisioned])
        return
    table = Table("kind", "name", "outcome", box=None, pad_edge=False)
    for each in provisioned:
        table.add_row(each.kind, each.name, each.outcome)
    out.print(table)
