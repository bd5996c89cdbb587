"""Verification of the hash chain of events (docs/audit.md)."""
