"""On the module path of a process whose clock is to be wrong."""
