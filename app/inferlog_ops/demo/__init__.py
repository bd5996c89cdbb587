"""The main job as one command: a real service, real traffic, and what Elasticsearch says of it."""
