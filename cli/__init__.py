"""The command line: the one place that reads arguments and the environment, and prints."""
