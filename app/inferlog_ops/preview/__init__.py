"""A local web page that draws the dashboard files from any Elasticsearch, for laptops without a Kibana."""
