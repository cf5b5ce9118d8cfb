"""Runs a model on a built runtime and compares with PyTorch's outputs."""
