"""What Kibana takes as a dashboard, as far as that can be told without one: its schema and its further rules."""
