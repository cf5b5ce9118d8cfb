"""Reading models and operator lists."""

from __future__ import annotations

import functools
import operator
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from builder.core.model_facts import OperatorList
from builder.core.operators import OperatorSet
from builder.core.setting_fields import Setting
from builder.lite.read import TorchScriptError
from builder.models.read import check_bytecode_version, read_model
from builder.oplists.format import is_op_list
from builder.sources.release_facts import load_bytecode_versions
from builder.system.limits import Limits

if TYPE_CHECKING:
    from builder.core.model_facts import BytecodeVersions, ModelInfo


def read_models(
    paths: Iterable[Path], *, torchscript: Limits | None = None
) -> tuple[ModelInfo, ...]:
    """Returns what the model files say of themselves, in the order given.

    Lite files are read without torch, and nothing in them is run. Different models of one file name
    are told apart by the start of their digest, e.g. `model.ptl@1f2e3d4c`.

    Args:
        paths: the files.
        torchscript: lets torch load TorchScript files, which runs code in them, in a process
            with these limits that cannot write files; None refuses such files.

    Raises:
        ModelError: a file is missing, damaged, hostile, or TorchScript.
        ToolchainError: for TorchScript: torch is missing, or this machine cannot confine it.
        VerificationError: torch crashed while it loaded TorchScript, or reached a limit.
    """
    return _tell_apart(tuple(_read_any_model(path, torchscript) for path in paths))


@dataclass(frozen=True, slots=True, kw_only=True)
class OperatorsRequest:
    """The models whose operators are wanted."""

    models: tuple[Path, ...]
    """Lite files and operator lists, which may be mixed."""
    output: Annotated[Path | None, Setting(placeholder="FILE.yaml", path="new file")] = None
    """Write an operator list to this file; `builder build` and PyTorch's own selective build read
    it."""
    run_torchscript: bool = False
    """Read TorchScript files (.pt) too. PyTorch loads them, which runs code of the model, in a
    separate process with limits. The process cannot write files, start programs or use the network.
    This needs torch, and Linux on x86_64 or aarch64."""
    limits: Limits = field(default_factory=Limits)
    pytorch: Annotated[str | None, Setting(placeholder="VERSION")] = None
    """The release of PyTorch that runtimes are built from, e.g. 2.6.0 (default: the one that this
    version of builder declares)."""


def list_operators(request: OperatorsRequest) -> OperatorList:
    """Returns the union of what the models need, and writes it to `output` where one is given.

    Raises:
        BuilderError: as `read_models` does, or the runtime cannot read a file's bytecode.
        ConfigurationError: `output` cannot be written, or is not a list that builder wrote.
    """
    if request.output is None:
        return _list_operators(request)
    from builder.api import list_files

    # Before the models are read, which may take a while.
    list_files.refuse_list(request.output)
    listed = _list_operators(request)
    list_files.write_list(request.output, listed)
    return listed


def _list_operators(request: OperatorsRequest) -> OperatorList:
    # A whole release would be read from many files, and nothing else of it is needed.
    readable = load_bytecode_versions(request.pytorch)
    allowed = request.limits if request.run_torchscript else None
    return join_needs(*read_inputs(request.models, torchscript=allowed, readable=readable))


def read_inputs(
    paths: Iterable[Path], *, torchscript: Limits | None = None, readable: BytecodeVersions
) -> tuple[tuple[ModelInfo, ...], tuple[OperatorList, ...]]:
    """Returns the models among `paths` and the operator lists among them, each in the order given.

    Raises:
        ModelError: a file cannot be read, or the runtime cannot read its bytecode.
    """
    given = tuple(paths)
    # The kind of a file is told by its name; a wrong one is an error of its reader.
    files = (path for path in given if not is_op_list(path))
    models = read_models(files, torchscript=torchscript)
    for info in models:
        # An operator list does not say which file has which version.
        check_bytecode_version(info, readable)
    return models, _read_lists([path for path in given if is_op_list(path)])


def _read_lists(paths: Collection[Path]) -> tuple[OperatorList, ...]:
    if not paths:
        return ()
    from builder.oplists.read import read_op_list

    return tuple(map(read_op_list, paths))


def join_needs(models: Iterable[ModelInfo], lists: Iterable[OperatorList]) -> OperatorList:
    """Returns everything that the models and the operator lists need, without dtypes."""
    needs = (*(info.operator_list() for info in models), *lists)
    return functools.reduce(operator.or_, needs, OperatorList(operators=OperatorSet()))


def _read_any_model(path: Path, torchscript: Limits | None) -> ModelInfo:
    try:
        return read_model(path)
    except TorchScriptError:
        # Only the user can allow that code of the model runs.
        if torchscript is None:
            raise
        from builder.api.read_torchscript import read_torchscript

        return read_torchscript(path, torchscript)


def _tell_apart(models: tuple[ModelInfo, ...]) -> tuple[ModelInfo, ...]:
    digests: dict[str, set[str]] = {}
    for info in models:
        # One file given twice is one model.
        digests.setdefault(info.name, set()).add(info.sha256)
    return tuple(
        replace(info, name=f"{info.name}@{info.sha256[:8]}")
        if len(digests[info.name]) > 1
        else info
        for info in models
    )
