"""The questions in dashboards/queries: found by name, asked of a cluster, shown as a table."""
