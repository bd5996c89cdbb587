"""
A real Elasticsearch in a process of its own, from published jars and a Java runtime that pip installed.

``modules.toml`` says what it is made of, ``jars.lock`` pins every file behind that. ``fetch`` brings the jars
into a cache, ``layout`` puts them where the engine loads them from and refuses any that differ, ``process`` is
the engine's own process, ``control`` starts and stops it, ``prune`` removes old events.
"""
