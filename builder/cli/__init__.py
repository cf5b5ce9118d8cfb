"""The command line: one module per command, which reads options and prints results."""
