"""Calls that static dispatch binds to the CPU, made to ask for another device first.

Kernels of a GPU call operators on tensors that are on the GPU (`view` of a linear layer's input),
and so do composite ones. `at::_ops::X::call` would hand these to the kernel for the CPU, which
finds no memory in them. So where a backend has tensors of its own and a kernel for X, the `call` of
X hands such tensors to the dispatcher, or calls the function that `kernel_calls` makes for the
kernel. As for the dispatcher, one tensor of the backend among others suffices.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Collection, Mapping

from builder.core.backends import Dispatch
from builder.native.generated import GeneratedCode, Group

_CALL = re.compile(
    r"(?P<result>[^(]*?) ?\b(?P<struct>\w+)::call\((?P<parameters>.*?)\) \{\n",
    re.DOTALL,
)
_PARAMETER = re.compile(r"(?P<type>.+?) ?\b(?P<name>\w+)$", re.DOTALL)
_ANY = (
    "::std::any_of({name}.begin(), {name}.end(), "
    "[](const at::Tensor& one) {{ return one.{predicate}(); }})"
)
_HELD = "({name}.has_value() && {name}->{predicate}())"
# Types as torchgen spells them; parameters of other types hold no tensor and no device.
_ASKING = {
    "const at::Tensor &": "{name}.{predicate}()",
    "at::Tensor &": "{name}.{predicate}()",
    "const ::std::optional<at::Tensor> &": _HELD,
    "at::TensorList": _ANY,
    "const at::ITensorListRef &": _ANY,
    "::std::optional<at::Device>": _HELD,
}
"""Type of a parameter -> C++ that says whether it is a tensor of the backend, or its device."""
_BRANCH = """\
    if ({condition}) {{
        return at::_ops::{struct}::redispatch({arguments});
    }}
"""
_KEY = "c10::DispatchKeySet(c10::DispatchKey::{key})"
# Declared in front of the call: a declaration inside of a function is one of its namespace.
_DIRECT_BRANCH = """\
    if ({condition}) {{
        {declaration};
        return {function}({arguments});
    }}
"""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class OperatorCall:
    """The head of a struct's `call` in `at::_ops`, as torchgen writes it."""

    struct: str
    result: str
    """The type that it returns."""
    parameters: tuple[tuple[str, str], ...]
    """Types and names."""
    end: int
    """Where the body begins in the text."""

    def name_kernel(self, dispatch: Dispatch) -> str:
        """Returns the function in `at::_ops` that calls the kernel of a backend."""
        return f"{self.struct}_{dispatch.key.lower()}"

    def declare_kernel(self, dispatch: Dispatch) -> str:
        """Returns the declaration of that function, without a semicolon."""
        parameters = ", ".join(f"{kind} {name}" for kind, name in self.parameters)
        return f"{self.result} {self.name_kernel(dispatch)}({parameters})"


def parse_call(text: str) -> OperatorCall:
    """Returns the head of a `call`; raises ValueError for other text."""
    match = _CALL.match(text)
    if match is None:
        raise ValueError(f"not a call of an operator: {text[:80]!r}")
    return OperatorCall(
        struct=match["struct"],
        result=match["result"],
        parameters=tuple(map(_split, _split_parameters(match["parameters"]))),
        end=match.end(),
    )


def ask_at_run_time(
    code: GeneratedCode, structs: Mapping[str, Collection[Dispatch]]
) -> GeneratedCode:
    """Returns `code` where calls of operators look for tensors of other devices than the CPU.

    Args:
        code: what torchgen wrote.
        structs: struct of `at::_ops` -> the tensors that its `call` is to look for.
    """
    # Without such a backend the code stays as it is, byte for byte.
    if not structs:
        return code
    wanted = {f"at::_ops::{struct}::call": found for struct, found in structs.items()}
    groups = {
        name: _ask_in_group(group, wanted) if name in wanted else group
        for name, group in code.groups.items()
    }
    return dataclasses.replace(code, groups=groups)


def _ask_in_group(group: Group, wanted: Mapping[str, Collection[Dispatch]]) -> Group:
    pieces = []
    # Overloads share a group; only the calls that were asked for get a branch.
    for piece in group.pieces:
        text = piece.text
        for dispatch in wanted.get(piece.qualified_name, ()):
            text = add_branch(text, dispatch)
        pieces.append(dataclasses.replace(piece, text=text))
    return Group(pieces=tuple(pieces))


def add_branch(text: str, dispatch: Dispatch) -> str:
    """Returns the C++ of a `call` with a branch for tensors of a backend in front of its body.

    Raises:
        ValueError: it is not such a function, or has no parameter that could be such a tensor.
    """
    call = parse_call(text)
    asked = [
        # A device counts as well: factories such as empty take no tensor.
        _ASKING[kind].format(name=name, predicate=dispatch.predicate)
        for kind, name in call.parameters
        if kind in _ASKING
    ]
    if not asked:
        raise ValueError(f"{call.struct} takes no tensor and no device")
    names = [name for _, name in call.parameters]
    condition = " || ".join(asked)
    if dispatch.kernels:
        branch = _DIRECT_BRANCH.format(
            condition=condition,
            declaration=call.declare_kernel(dispatch),
            function=call.name_kernel(dispatch),
            arguments=", ".join(names),
        )
    else:
        branch = _BRANCH.format(
            condition=condition,
            struct=call.struct,
            arguments=", ".join((_KEY.format(key=dispatch.key), *names)),
        )
    return text[: call.end] + branch + text[call.end :]


def _split_parameters(text: str) -> list[str]:
    """Returns the parameters between commas that are in no angle brackets."""
    # Types such as std::array<bool,3> have commas of their own.
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
        raise ValueError(f"not a parameter: {parameter!r}")
    return match["type"], match["name"]
