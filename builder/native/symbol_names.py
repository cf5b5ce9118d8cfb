"""C++ symbol names as they appear in indexes and linker messages."""

from __future__ import annotations

import re

_SPECIAL = (
    "vtable for ",
    "VTT for ",
    "typeinfo for ",
    "typeinfo name for ",
    "guard variable for ",
    "thread-local wrapper routine for ",
    "thread-local initialization routine for ",
)
_CLOSING = re.compile(r"> (?=>)")
_OPAQUE = re.compile(
    r"\(anonymous namespace\)"
    r"|(?<=\boperator)(?:\(\)|\[\]|<=>|->\*?|<<=?(?=[(< ]|$)|>>=?(?=[(< ]|$)|[<>]=?)"
    r"|->"
)
_VARIANTS = re.compile(r"\[abi:\w+\]|(?<=std::)__(?:cxx11|ndk1|1)::|\blong (?=long\b)")
"""What tells symbols of one target from another's.

libstdc++'s dual ABI, libc++'s versions, and `int64_t`, which is `long long` on 32 bits.
"""
_OPERATOR = re.compile(r"\boperator\b")


def parse_qualified_name(demangled: str) -> str:
    """Returns the name of a demangled symbol without return type, parameters and qualifiers.

    Template arguments stay: they tell `DispatchStub<..., add_stub>::DEFAULT` from its siblings.
    Names without parameters (C functions, variables) come back unchanged, but for closing angle
    brackets (LLVM 16 and newer write `>>` where older releases wrote `> >`) and for what differs
    between C++ libraries and word sizes: the name is the same with each.
    """
    text = _VARIANTS.sub("", _CLOSING.sub(">", demangled))
    if text.startswith(_SPECIAL):
        return text
    # Replaced by as many dots, so that positions in both texts are the same.
    start, end = _find_name(_OPAQUE.sub(lambda match: "." * len(match[0]), text))
    return text[start:end]


def _find_name(masked: str) -> tuple[int, int]:
    """Returns where the name is; operator symbols have to be masked, so that brackets pair."""
    start = depth = 0
    for position, char in enumerate(masked):
        # A parenthesis at the outside begins the parameters, unless it belongs to decltype.
        if char in "<(" and (depth or char == "<" or masked.endswith("decltype", 0, position)):
            depth += 1
        elif char in ">)":
            depth -= 1
        elif depth == 0 and masked.startswith(("(*", "(&"), position):
            start = position + 2  # it returns a pointer to a function: `void (*name(int))(int)`
        elif depth == 0 and char == "(":
            return start, position
        elif depth == 0 and char == " " and not _OPERATOR.search(masked, start, position):
            start = position + 1
    return start, len(masked)
