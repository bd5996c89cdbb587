"""ASGI and WSGI middleware: one event per HTTP request."""
