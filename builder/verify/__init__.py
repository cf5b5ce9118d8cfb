"""Runs a model on a built runtime and compares its outputs with those of PyTorch."""
