"""One chain of calls, over all services that took part in it."""
