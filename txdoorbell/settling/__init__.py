"""Settings: from a file or a command line to a doorbell that has been put together."""
