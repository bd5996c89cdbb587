"""One event for each request that a web framework answers."""
