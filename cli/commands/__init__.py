"""One command a file; `cli.main` imports the one that is asked for."""
