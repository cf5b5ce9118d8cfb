"""Versions of the lite interpreter's bytecode that the built runtime reads."""

from __future__ import annotations

OLDEST_BYTECODE = 4
"""kMinSupportedBytecodeVersion of PyTorch 2.6.0 (caffe2/serialize/versions.h)."""
NEWEST_BYTECODE = 9
"""kMaxSupportedBytecodeVersion of PyTorch 2.6.0 (caffe2/serialize/versions.h)."""
