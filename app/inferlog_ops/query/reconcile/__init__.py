"""Reconciliation of a load generator's records with the events in the index, request by request."""
