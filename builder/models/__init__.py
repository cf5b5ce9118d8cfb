"""Reads .ptl and .pt files without torch and without executing code in them."""
