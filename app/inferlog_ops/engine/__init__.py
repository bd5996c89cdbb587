"""
A real Elasticsearch in a process of its own, from published jars and a Java runtime that pip installed.

``modules.toml`` says what it is made of, ``jars.lock`` pins every file behind that (``blueprint``, ``relock``).
``fetch`` brings the jars into a cache, ``layout`` puts them where the engine loads them from and refuses any that
differ. ``control`` starts and stops: ``launch`` begins the ``process``, in which ``node`` is the Java side;
``presence`` knows whether it runs. ``prune`` removes old events, ``reclaim`` gives their room back.
"""
