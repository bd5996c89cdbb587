"""Preview page: draws the dashboard files from any Elasticsearch, without Kibana."""
