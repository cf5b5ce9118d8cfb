"""Finds the references in Mach-O images, and the sizes of their parts."""
