"""
The embedded engine: a real Elasticsearch in its own process, from published jars and a Java runtime that pip installed.

``modules.toml`` lists its modules, ``jars.lock`` pins every file of them (``blueprint``, ``relock``). ``fetch``
downloads the jars into a cache, ``layout`` links them into the engine's home and rejects changed files. ``control``
starts and stops: ``launch`` spawns the ``process``, in which ``node`` is the Java side; ``presence`` detects whether
it is running. ``prune`` removes old events and frees their disk space.
"""
