"""Turns PyTorch models into the smallest mobile runtime that can run them."""

__version__ = "0.1.0"
