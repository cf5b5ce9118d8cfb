"""What a runtime must have to run models: operators, custom classes, and kernels for dtypes."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from builder.api.models import join_needs, read_inputs
from builder.core.dtypes import EVERYTHING, DtypeChoice
from builder.oplists.format import is_op_list
from builder.selection import choose_dtypes as dtypes
from builder.system.reference_headers import find_input_dtypes

if TYPE_CHECKING:
    from builder.core.model_facts import BytecodeVersions, ModelInfo, OperatorList


def read_requirements(
    paths: Iterable[Path], *, readable: BytecodeVersions
) -> tuple[OperatorList, DtypeChoice]:
    """Returns what a runtime for `paths` needs: operators, and dtypes with the reason for them.

    Models and operator lists may be mixed; the inputs of a model are those of its reference case.

    Raises:
        ModelError: a file cannot be read, or the runtime cannot read its bytecode.
    """
    given = tuple(paths)
    models, lists = read_inputs(given, readable=readable)
    files = [path for path in given if not is_op_list(path)]
    texts = [path for path in given if is_op_list(path)]
    choices = [*map(find_dtypes, models, files), *map(_dtypes_of_list, lists, texts)]
    return join_needs(models, lists), dtypes.choose_dtypes(choices)


def find_dtypes(info: ModelInfo, path: Path) -> DtypeChoice:
    """Returns the dtypes that the model at `path` and the inputs saved beside it name."""
    return dtypes.find_dtypes(info, find_input_dtypes(path, info.sha256))


def _dtypes_of_list(op_list: OperatorList, path: Path) -> DtypeChoice:
    if op_list.dtypes is None:
        return DtypeChoice(dtypes=EVERYTHING, reason="operator lists do not contain dtypes")
    return DtypeChoice(dtypes=op_list.dtypes, reason=f"{path.name} has {op_list.dtypes}")
