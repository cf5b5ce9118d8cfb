"""Backends as data, one TOML file each; `Backend` in core/backends.py says what each key means."""
