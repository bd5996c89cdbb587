"""
Carries lines from log files to Elasticsearch: at least once on the way, once in the index.

The way of a line, one module a step::

    folder → watch → tail → batch → schedule → delivery → verdict → ledger → positions
    (which files)   (bytes → lines)  (in flight)  (bulk, answer)      (what is answered)

A line's bytes count as answered only once the store has taken it, has said that it has it already, or the line
stands in the dead letter file. Only then does the position pass it; whatever lies behind a position is sent again
after a crash, and the event's own id makes that harmless.
"""
