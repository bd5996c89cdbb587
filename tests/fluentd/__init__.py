"""Support for the tests of Fluentd's configuration and image, and of a real Fluentd if installed."""
