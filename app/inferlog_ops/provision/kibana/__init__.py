"""Puts data views, dashboards, rules and saved queries into a Kibana; safe to repeat."""
