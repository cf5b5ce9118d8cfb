"""Operators that old files need beside their own: the runtime replaces some calls on loading.

A lite file records the operator version it was made for. Where an operator has changed since, the
runtime calls an upgrader instead (torch/csrc/jit/mobile/upgrader_mobile.cpp), and the upgrader
calls operators that the file does not name.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from builder.core.operators import Operator, OperatorSet

_UPGRADERS = "torch/csrc/jit/mobile/upgrader_mobile.cpp"
_ENTRY = re.compile(
    r'std::string\("(?P<operator>[\w:.]+)"\),\s*std::vector<Upgrader>\(\{(?P<list>.*?)\}\)\}', re.S
)
_VERSION = re.compile(r'Upgrader\(\{\d+, \d+, "(\w+)"')
_LAST = re.compile(r"Upgrader\(\{\d+, (\d+), ")
_FUNCTION = re.compile(r'registerFunc\(\s*"(?P<name>\w+)"(?P<body>.*?)(?=registerFunc\(|\Z)', re.S)
_CALLED = re.compile(r'OperatorString\(\{"([\w:]+)", "(\w*)"')


def read_upgraders(tree: Path) -> dict[Operator, frozenset[Operator]]:
    """Returns operator -> what the upgraders of its old versions call, from PyTorch's `tree`."""
    # The table maps operators to upgraders; each registered function has the operators that it
    # calls.
    text = (tree / _UPGRADERS).read_text()
    called = {
        function["name"]: frozenset(Operator(*call) for call in _CALLED.findall(function["body"]))
        for function in _FUNCTION.finditer(text)
    }
    return {
        Operator.parse(entry["operator"]): frozenset().union(
            *(called.get(name, frozenset()) for name in _VERSION.findall(entry["list"]))
        )
        for entry in _ENTRY.finditer(text)
    }


def read_versions(tree: Path) -> dict[Operator, int]:
    """Returns operator -> the first version of files that call it as it is now."""
    text = (tree / _UPGRADERS).read_text()
    return {
        Operator.parse(entry["operator"]): 1 + max(map(int, _LAST.findall(entry["list"])))
        for entry in _ENTRY.finditer(text)
    }


def add_upgraders(
    operators: OperatorSet, upgraders: Mapping[Operator, frozenset[Operator]]
) -> OperatorSet:
    """Returns `operators` and what their upgraders call, wanted by `upgrader of <operator>`."""
    total = operators
    # Upgraders call operators that may have upgraders too.
    while True:
        added = total
        for operator in total:
            called = upgraders.get(operator, frozenset())
            new = OperatorSet.of(called, source=f"upgrader of {operator}") - total
            added |= new
        # Sets only grow, and end when a pass adds nothing.
        if len(added) == len(total):
            return total
        total = added
