"""Alert rules: conditions on the rows of saved queries, evaluated here or by Kibana."""
