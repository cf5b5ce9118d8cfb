"""Finds compilers and their tools, and describes them."""
