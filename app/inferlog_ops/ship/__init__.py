"""
Ships log files to Elasticsearch: at-least-once delivery, exactly one document per event id.

The path of a line, one module per step::

    discovery → tail → batch → schedule → delivery → bulk_response → offsets → checkpoint
    (log files)  (bytes → lines)  (in flight)  (bulk requests)      (acknowledged offsets)

A line is acknowledged once Elasticsearch has stored it, has reported it as a duplicate, or once it is in the dead
letter file. Only then does the acknowledged offset pass the line. After a crash, everything beyond the acknowledged
offset is sent again; the event's own id prevents a second document.
"""
