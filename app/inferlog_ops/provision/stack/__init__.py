"""Prepares and provisions the container stack: certificates, secrets, users, roles, keys, templates, dashboards."""
