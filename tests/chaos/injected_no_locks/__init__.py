"""On the module path of a process whose file system is to have no locks."""
