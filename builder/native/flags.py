"""Upstream's flags, made ours: for size where it costs no speed, reproducible, without warnings."""

from __future__ import annotations

import re

_DROPPED = re.compile(
    r"-W.*|-w|-g.*|-O.|-fcolor-diagnostics|-fvisibility.*|-ffunction-sections|-fdata-sections"
    r"|-Qunused-arguments|-pedantic|--target=.*"
)
_OPTIMISATION = re.compile(r"-O.")
_HOT = re.compile(
    r"aten/src/ATen/native/(quantized/)?cpu/(kernels/)?[^/]+\.(DEFAULT|NEON|ZVECTOR)\.cpp$|third_party/|/qnnpack/"
)
"""Units whose speed is the model's speed; they keep upstream's optimisation level."""

COMMON = (
    "-w",
    "-ffunction-sections",
    "-fdata-sections",
    "-fvisibility=hidden",
    "-fno-ident",
    "-fPIC",
)
_CXX_ONLY = ("-fvisibility-inlines-hidden",)


def tune_flags(upstream: tuple[str, ...], *, unit_id: str, language: str) -> tuple[str, ...]:
    """Returns the flags builder compiles a unit with.

    Args:
        upstream: definitions, include folders and options as upstream's CMake gives them.
        unit_id: decides the optimisation level.
        language: `C`, `CXX` or `ASM`.
    """
    kept = [flag for flag in upstream if not _DROPPED.fullmatch(flag)]
    levels = [flag for flag in upstream if _OPTIMISATION.fullmatch(flag)]
    level = levels[-1] if levels and _HOT.search(unit_id) else "-Os"
    if language == "ASM":
        return tuple(kept)
    only = _CXX_ONLY if language == "CXX" else ()
    return (*kept, level, *COMMON, *only)
