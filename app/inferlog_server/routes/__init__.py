"""HTTP in, HTTP out, and what a request's event is told about it."""
