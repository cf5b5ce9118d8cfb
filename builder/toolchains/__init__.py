"""Finds and describes compilers and their tools."""
