"""The modules that every other package uses: cluster, streams, errors, console, files. They import no other package."""
