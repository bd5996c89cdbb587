"""The dashboard files in dashboards/: found by id, filled with the service levels, brought to the form Kibana takes."""
