"""Added to the module path of a process with a wrong clock."""
