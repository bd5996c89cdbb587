"""The operator's side of inferlog: engine, provisioning, shipping, questions."""
