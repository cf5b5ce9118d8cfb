"""One module per command; rendering only."""
