"""Panels of the dashboard files as form-based Lens charts, the oldest format that all supported Kibanas share."""
