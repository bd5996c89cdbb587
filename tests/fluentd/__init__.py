"""Support for the tests of Fluentd's configuration and image, and of the real Fluentd where there is one."""
