"""Shared by all packages: cluster, streams, errors, console, files, wait. Imports no other package of inferlog_ops."""
