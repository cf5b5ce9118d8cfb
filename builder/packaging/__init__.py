"""Writes packages for users: library, headers, CMake configuration, manifest."""
