"""Calls that static dispatch binds to the processor, made to ask for another device first.

Kernels for Metal call operators on tensors of Metal's (`view` of a linear layer's input), and so
do composite ones. `at::_ops::X::call` would hand these to the processor's kernel, which finds no
memory in them. So where Metal has a kernel for X, its `call` asks the dispatcher for such tensors.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Collection

from builder.native.generated import GeneratedCode, Group

_CALL = re.compile(
    r"(?P<before>[^(]*?(?P<struct>\w+)::call\()(?P<parameters>.*?)\) \{\n", re.DOTALL
)
_PARAMETER = re.compile(r"(?P<type>.+?) ?\b(?P<name>\w+)$", re.DOTALL)
_ASKING = {
    "const at::Tensor &": "{name}.is_metal()",
    "at::Tensor &": "{name}.is_metal()",
    "const at::ITensorListRef &": "({name}.size() > 0 && {name}.front().is_metal())",
    "::std::optional<at::Device>": "({name}.has_value() && {name}->is_metal())",
}
"""Type of a parameter -> C++ that says whether it is of Metal's."""
_BRANCH = """\
    if ({condition}) {{
        return at::_ops::{struct}::redispatch({arguments});
    }}
"""
_KEY = "c10::DispatchKeySet(c10::DispatchKey::Metal)"


def ask_at_run_time(code: GeneratedCode, structs: Collection[str]) -> GeneratedCode:
    """Returns `code` where the calls of `structs`, of `at::_ops`, look for a tensor of Metal's."""
    if not structs:
        return code
    wanted = {f"at::_ops::{struct}::call" for struct in structs}
    groups = {
        name: _ask_in_group(group, wanted) if name in wanted else group
        for name, group in code.groups.items()
    }
    return dataclasses.replace(code, groups=groups)


def _ask_in_group(group: Group, wanted: Collection[str]) -> Group:
    pieces = tuple(
        dataclasses.replace(piece, text=add_branch(piece.text))
        if piece.qualified_name in wanted
        else piece
        for piece in group.pieces
    )
    return Group(pieces=pieces)


def add_branch(text: str) -> str:
    """Returns the C++ of a `call` with a branch for tensors of Metal's in front of its body.

    Raises:
        ValueError: it is no such function, or takes nothing that could be of Metal's.
    """
    match = _CALL.match(text)
    if match is None:
        raise ValueError(f"no call of an operator: {text[:80]!r}")
    parameters = [_split(one) for one in _split_parameters(match["parameters"])]
    asked = [_ASKING[kind].format(name=name) for kind, name in parameters if kind in _ASKING]
    if not asked:
        raise ValueError(f"{match['struct']} takes no tensor and no device")
    branch = _BRANCH.format(
        condition=" || ".join(asked),
        struct=match["struct"],
        arguments=", ".join((_KEY, *(name for _, name in parameters))),
    )
    return text[: match.end()] + branch + text[match.end() :]


def _split_parameters(text: str) -> list[str]:
    """Returns the parameters between commas that are in no angle brackets."""
    parts, depth = [""], 0
    for char in text:
        depth += (char == "<") - (char == ">")
        if char == "," and depth == 0:
            parts.append("")
        else:
            parts[-1] += char
    return [part.strip() for part in parts if part.strip()]


def _split(parameter: str) -> tuple[str, str]:
    match = _PARAMETER.fullmatch(parameter)
    if match is None:
        raise ValueError(f"no parameter: {parameter!r}")
    return match["type"], match["name"]
