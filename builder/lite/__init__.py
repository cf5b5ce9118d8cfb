"""Reads and writes lite files whole, zip or flatbuffer, without torch."""
