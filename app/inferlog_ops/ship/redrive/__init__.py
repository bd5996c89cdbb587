"""
Sends dead letters again, once a person has mended what made the store refuse them.

`letter` knows what a dead letter looks like, in a file of the shipper's or of Fluentd's or in a failure store.
`letter_files` and `failure_store` are where they lie. `resending` puts them into the store under the ids that they had,
and says what became of each. `run` does that for all sources, and counts.
"""
