"""Dashboard files of dashboards/: loading, panels, and service levels."""
