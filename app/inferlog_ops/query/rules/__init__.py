"""Alert rules: conditions on the answers of saved queries, evaluated here or by Kibana."""
