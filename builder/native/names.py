"""C++ symbol names as they appear in indexes and linker messages."""

from __future__ import annotations

_SPECIAL = (
    "vtable for ",
    "VTT for ",
    "typeinfo for ",
    "typeinfo name for ",
    "guard variable for ",
    "thread-local wrapper routine for ",
    "thread-local initialization routine for ",
)


def parse_qualified_name(demangled: str) -> str:
    """Returns the name of a demangled symbol without return type, parameters and qualifiers.

    Template arguments stay: they tell `DispatchStub<..., add_stub>::DEFAULT` from its siblings.
    Names without parameters (C functions, variables) come back unchanged.
    """
    for prefix in _SPECIAL:
        if demangled.startswith(prefix):
            return demangled
    end = _parameters_start(demangled)
    return demangled[_name_start(demangled, end) : end]


def _parameters_start(text: str) -> int:
    depth = 0
    for position, char in enumerate(text):
        if char == "<" and not text[:position].endswith(("operator", "operator<")):
            depth += 1
        elif char == ">" and not text[:position].endswith(("-", "operator", "operator>")):
            depth -= 1
        elif char == "(" and depth == 0 and not _is_part_of_name(text, position):
            return position
    return len(text)


def _is_part_of_name(text: str, position: int) -> bool:
    return text.startswith(("(anonymous namespace)", "()("), position) or (
        text[:position].endswith(")") and not text.startswith("(", position)
    )


def _name_start(text: str, end: int) -> int:
    head = text[:end]
    operator = head.rfind("operator")
    if operator >= 0 and (operator == 0 or head[operator - 1] in ": "):
        end = operator
    depth = 0
    for position in range(end - 1, -1, -1):
        char = text[position]
        if char in ">)":
            depth += 1
        elif char in "<(":
            depth -= 1
        elif char == " " and depth == 0:
            return position + 1
    return 0
