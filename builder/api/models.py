"""Reading models and operator lists."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from builder.core.dtypes import EVERYTHING, DtypeChoice
from builder.core.model_facts import ModelFormat, OperatorList
from builder.core.operators import OperatorSet
from builder.core.setting_fields import Setting
from builder.errors import BuilderError
from builder.lite.read import TorchScriptError
from builder.models.read import check_bytecode_version, read_model
from builder.oplists import is_op_list, is_own_list, read_op_list, refuse_other_name, write_op_list
from builder.selection import choose_dtypes as dtypes
from builder.selection.choose_dtypes import choose_dtypes
from builder.sources.release_facts import load_bytecode_versions
from builder.system.limits import Limits
from builder.system.outputs import refuse_foreign_file, refuse_unwritable, writing_file
from builder.system.reference_headers import find_input_dtypes
from builder.system.scratch import scratch_folder

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
    if request.output is not None:
        # Before the models are read, which may take a while.
        _refuse_list(request.output)
    # A whole release would be read from many files, and nothing else of it is needed.
    readable = load_bytecode_versions(request.pytorch)
    allowed = request.limits if request.run_torchscript else None
    listed, _ = read_wanted(request.models, torchscript=allowed, readable=readable)
    if request.output is not None:
        with writing_file(request.output):
            write_op_list(request.output, listed)
    return listed


def read_wanted(
    paths: Iterable[Path], *, torchscript: Limits | None = None, readable: BytecodeVersions
) -> tuple[OperatorList, DtypeChoice]:
    """Returns what a runtime for `paths` needs: operators, and dtypes with the reason for them.

    Models and operator lists may be mixed; the inputs of a model are those of its reference case.

    Raises:
        ModelError: a file cannot be read, or the runtime cannot read its bytecode.
    """
    given = tuple(paths)
    # The kind of a file is told by its name; a wrong one is an error of its reader.
    files = tuple(path for path in given if not is_op_list(path))
    models = read_models(files, torchscript=torchscript)
    total = OperatorList(operators=OperatorSet())
    for info in models:
        # Before the union: an operator list does not say which file it was.
        check_bytecode_version(info, readable)
        total |= info.operator_list()
    choices = [*map(find_dtypes, models, files)]
    for path in given:
        if is_op_list(path):
            op_list = read_op_list(path)
            total |= op_list
            choices.append(
                DtypeChoice(dtypes=EVERYTHING, reason="operator lists do not contain dtypes")
                if op_list.dtypes is None
                else DtypeChoice(dtypes=op_list.dtypes, reason=f"{path.name} has {op_list.dtypes}")
            )
    return total, choose_dtypes(choices)


def find_dtypes(info: ModelInfo, path: Path) -> DtypeChoice:
    """Returns the dtypes that the model at `path` and the inputs saved beside it name."""
    return dtypes.find_dtypes(info, find_input_dtypes(path, info.sha256))


def _read_any_model(path: Path, torchscript: Limits | None) -> ModelInfo:
    try:
        return read_model(path)
    except TorchScriptError:
        # Only the user can allow that code of the model runs.
        if torchscript is None:
            raise
        return _read_torchscript(path, torchscript)


def _read_torchscript(path: Path, limits: Limits) -> ModelInfo:
    from builder.export.interpreter import Interpreter

    content = path.read_bytes()
    with scratch_folder() as folder:
        # The name becomes the origin of the operators, so it stays that of the file.
        lite = folder / path.name
        try:
            lite.write_bytes(Interpreter(limits, confined=True).convert(content))
            info = read_model(lite)
        except BuilderError as error:
            # The lite file is builder's own and means nothing to the user.
            message = error.message.removeprefix(f"{lite}: ")
            raise type(error)(f"{path}: {message}", hint=error.hint) from error
    return replace(
        info,
        # What was given is identified, not what torch made of it.
        sha256=hashlib.sha256(content).hexdigest(),
        size=len(content),
        format=ModelFormat.TORCHSCRIPT,
        bytecode_version=None,
    )


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


def _refuse_list(path: Path) -> None:
    """Raises ConfigurationError when an operator list cannot be written to `path`.

    A file that exists already must be a list that builder wrote.
    """
    refuse_other_name(path)
    refuse_unwritable(path)
    refuse_foreign_file(path, is_own_list, "operator list that builder wrote")
