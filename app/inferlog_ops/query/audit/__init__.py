"""Checks the hash chain of events: see docs/audit.md."""
