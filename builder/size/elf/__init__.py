"""Finds the references in ELF libraries, from their relocations and the map of the linker."""
