"""Data views, dashboards, rules and saved queries in Kibana; safe to repeat."""
