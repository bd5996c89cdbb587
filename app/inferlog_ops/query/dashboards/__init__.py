"""Dashboard files of dashboards/: loading, filling in service levels, and rendering for Kibana."""
