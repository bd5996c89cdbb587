"""What can be fuzzed: each name is that of a module beside this one."""

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
