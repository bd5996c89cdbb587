"""
Load generator for an inference service, run by Locust: arrival times, request bodies, and records of responses.

The modules that import Locust (`callers`, `generator`, `shape`) replace Python's blocking calls with gevent's on
import, for the whole process. The others are plain Python.
"""
