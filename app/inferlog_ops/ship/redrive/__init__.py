"""
Resending of dead letters after the cause of their refusal is fixed.

`letter` parses a dead letter, from a file of the shipper, from one of Fluentd, or from a failure store. `letter_files`
and `failure_store` are the sources. `resend` sends the letters under their original ids and counts the results.
"""
