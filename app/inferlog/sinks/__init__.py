"""Sinks: destinations of finished lines."""
