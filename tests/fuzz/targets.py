"""Fuzz targets: each name is a module of this package."""

TARGETS = (
    "headers",
    "redaction",
    "lines",
    "shipped",
    "question",
    "dashboard_files",
    "slo_file",
    "rule_file",
    "client_records",
)
