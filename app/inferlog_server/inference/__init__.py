"""The models and how they are run. Knows nothing of HTTP and nothing of logs."""
