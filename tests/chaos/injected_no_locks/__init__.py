"""Added to the module path of a process without file locks."""
