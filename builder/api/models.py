"""Reading models and operator lists."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from builder.core.dtypes import DtypeChoice
    from builder.core.model import ModelInfo, OperatorList


def read_models(paths: Iterable[Path]) -> tuple[ModelInfo, ...]:
    """Returns what the model files say of themselves, in the order given.

    Lite files are read without torch; TorchScript files go through it. Different models of one
    file name are told apart by the start of their digest, e.g. `model.ptl@1f2e3d4c`.

    Raises:
        ModelError: a file is missing, damaged, hostile, or needs torch where there is none.
    """
    return _tell_apart(tuple(_read_any_model(path) for path in paths))


def list_operators(paths: Iterable[Path]) -> OperatorList:
    """Returns the union of what `paths` need; models and operator lists may be mixed.

    Raises:
        ModelError: a file cannot be read, or its bytecode not by the runtime.
    """
    return read_wanted(paths)[0]


def read_wanted(paths: Iterable[Path]) -> tuple[OperatorList, DtypeChoice]:
    """Returns what a runtime for `paths` needs: operators, and dtypes with the reason for them.

    Models and operator lists may be mixed; the inputs of a model are those of its reference case.

    Raises:
        ModelError: a file cannot be read, or its bytecode not by the runtime.
    """
    from builder.core.dtypes import EVERYTHING, DtypeChoice
    from builder.core.model import OperatorList
    from builder.core.operators import OperatorSet
    from builder.models.versions import check_bytecode_version
    from builder.oplists import is_op_list, read_op_list
    from builder.selection.dtypes import choose_dtypes

    given = tuple(paths)
    files = tuple(path for path in given if not is_op_list(path))
    models = read_models(files)
    total = OperatorList(operators=OperatorSet())
    for info in models:
        check_bytecode_version(info)
        total |= info.operator_list()
    choices = [*map(find_dtypes, models, files)]
    for path in given:
        if is_op_list(path):
            op_list = read_op_list(path)
            total |= op_list
            choices.append(
                DtypeChoice(dtypes=EVERYTHING, reason="operator lists do not tell dtypes")
                if op_list.dtypes is None
                else DtypeChoice(dtypes=op_list.dtypes, reason=f"{path.name} has {op_list.dtypes}")
            )
    return total, choose_dtypes(choices)


def find_dtypes(info: ModelInfo, path: Path) -> DtypeChoice:
    """Returns the dtypes that the model at `path` and the inputs saved beside it name."""
    from builder.selection import dtypes
    from builder.system.reference_headers import find_input_dtypes

    return dtypes.find_dtypes(info, find_input_dtypes(path, info.sha256))


def write_operators(path: Path, op_list: OperatorList) -> None:
    """Writes `op_list` as YAML to `path`; ConfigurationError when `refuse_list` has one."""
    from builder.api.outputs import refuse_list
    from builder.oplists import write_op_list
    from builder.system.outputs import writing_file

    refuse_list(path)
    with writing_file(path):
        write_op_list(path, op_list)


def _read_any_model(path: Path) -> ModelInfo:
    from builder.models.reading import TorchScriptError, read_model

    try:
        return read_model(path)
    except TorchScriptError:
        return _read_torchscript(path)


def _read_torchscript(path: Path) -> ModelInfo:
    import tempfile
    from dataclasses import replace

    from builder.core.model import ModelFormat
    from builder.export.operators import save_for_lite_interpreter
    from builder.models.reading import read_model
    from builder.system.files import digest_file

    with tempfile.TemporaryDirectory() as folder:
        lite = Path(folder, "model.ptl")
        save_for_lite_interpreter(path, lite)
        return replace(
            read_model(lite),
            name=path.name,
            sha256=digest_file(path),
            size=path.stat().st_size,
            format=ModelFormat.TORCHSCRIPT,
            bytecode_version=None,
        )


def _tell_apart(models: tuple[ModelInfo, ...]) -> tuple[ModelInfo, ...]:
    from dataclasses import replace

    digests: dict[str, set[str]] = {}
    for info in models:
        digests.setdefault(info.name, set()).add(info.sha256)
    return tuple(
        replace(info, name=f"{info.name}@{info.sha256[:8]}")
        if len(digests[info.name]) > 1
        else info
        for info in models
    )
