"""Reads the text of C++ sources: comments, and the kernels that a file registers."""

from __future__ import annotations

import re
from dataclasses import dataclass

from builder.core.operators import Operator

COMMENT = re.compile(r"//[^\n]*|/\*.*?\*/", re.DOTALL)
"""A comment of C++; operators are named in many that register nothing."""
_BLOCK = re.compile(r"\bTORCH_LIBRARY_IMPL\(\s*(?P<namespace>\w+)\s*,\s*(?P<key>\w+)\s*,")
"""torch/library.h: the kernels behind it are for one dispatch key."""
_STARTS = re.compile(r"\bm\.impl\(")
# The name may be selective and may lack its namespace, the function may be wrapped in a type.
_KERNEL = re.compile(
    r'\bm\.impl\(\s*(?:TORCH_SELECTIVE_NAME\(\s*)?"(?P<name>[^"]+)"\s*\)?\s*,'
    r"\s*(?:TORCH_FN\(\s*)?(?P<function>[\w:]+)\s*\)?\s*\)\s*;"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class KernelRegistration:
    """A kernel of one operator for one dispatch key."""

    operator: Operator
    key: str
    """The name in `c10::DispatchKey`."""
    function: str
    """As the file that defines it spells it."""


def read_registrations(source: str) -> tuple[KernelRegistration, ...]:
    """Returns the kernels that the C++ text `source` registers, in its order.

    Raises:
        ValueError: a registration is written in a way that is not known here. A kernel that is
            missed would be taken for one that there is not.
    """
    text = COMMENT.sub("", source)
    blocks = list(_BLOCK.finditer(text))
    found = []
    for match in _KERNEL.finditer(text):
        block = next((one for one in reversed(blocks) if one.start() < match.start()), None)
        if block is None:
            break
        name = match["name"] if "::" in match["name"] else f"{block['namespace']}::{match['name']}"
        found.append(
            KernelRegistration(
                operator=Operator.parse(name), key=block["key"], function=match["function"]
            )
        )
    written = len(_STARTS.findall(text))
    if written != len(found):
        raise ValueError(f"builder can read {len(found)} of {written} registrations of kernels")
    return tuple(found)
