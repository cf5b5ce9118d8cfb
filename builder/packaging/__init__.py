"""Lays out what a user consumes: library, headers, CMake config, manifest."""
