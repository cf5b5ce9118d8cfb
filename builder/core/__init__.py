"""Pure values and set algebra; no I/O, no environment, no subprocess, no torch."""
