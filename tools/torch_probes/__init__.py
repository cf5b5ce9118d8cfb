"""What `tools/torches.py` is made of."""
