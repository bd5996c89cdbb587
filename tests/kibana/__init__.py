"""Validation of dashboards without a Kibana: its schema and additional rules."""
