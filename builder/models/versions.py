"""Which files the built runtime can load."""

from __future__ import annotations

from builder.core.bytecode import NEWEST_BYTECODE, OLDEST_BYTECODE
from builder.core.model import ModelInfo
from builder.errors import ModelError


def check_bytecode_version(info: ModelInfo) -> None:
    """Raises ModelError when the runtime of PyTorch 2.6.0 cannot read the bytecode of `info`."""
    version = info.bytecode_version
    if version is None or OLDEST_BYTECODE <= version <= NEWEST_BYTECODE:
        return
    raise ModelError(
        f"{info.name} has bytecode version {version}; "
        f"the runtime reads versions {OLDEST_BYTECODE} to {NEWEST_BYTECODE}",
        hint="export the model again with `builder export`"
        if version < OLDEST_BYTECODE
        else f"builder export {info.name} -o model.ptl --bytecode-version {NEWEST_BYTECODE - 1}",
    )
