"""Reads and writes operator lists: the YAML of torchgen's SelectiveBuilder, and plain lists.

SelectiveBuilder (torchgen/selective_build/selector.py) refuses unknown keys, but accepts any
strings in `debug_info`. builder stores its additional data there as JSON strings: one header, and
then one entry per model.
"""
