"""Brings the desired state to servers: Elasticsearch, Kibana, and the container stack."""
