"""
Load for an inference service, by Locust: when callers ask, what they ask, and what they see.

The modules that import Locust (`callers`, `first_tokens`, `generator`, `shape`) replace Python's blocking calls by
gevent's on import, for the whole process. The others are plain Python.
"""
