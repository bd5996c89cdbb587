"""Saved queries of dashboards/queries: loading, running, and printing as a table."""
