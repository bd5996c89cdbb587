"""Demo: a service, traffic, shipper and dashboards in one command, with figures from Elasticsearch."""
