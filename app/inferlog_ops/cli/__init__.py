"""One module a command: it reads the options, calls the work, prints the answer."""
