"""Inference: the versions of the model and the backends that run them. Independent of HTTP routes and of logging."""
