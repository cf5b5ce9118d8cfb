"""Results that are there already: what may be replaced, before anything is done."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from builder.core.android import AarOptions
    from builder.core.targets import Target

_RUNTIME_BYTES = 4 << 20
"""What the smallest runtime takes with all that lies beside its library."""


def refuse_outputs(targets: Sequence[Target], output: Path, aar: AarOptions | None = None) -> None:
    """Raises where builds for `targets` could not write below `output`, or would lose something.

    Only what builder's own manifests list is replaced.

    Raises:
        ConfigurationError: nothing can be written there, or a folder has what builder did not
            write.
        PackagingError: there is too little space.
    """
    from builder.packaging.apple.writing import FOLDER
    from builder.packaging.outputs import MANIFEST, refuse_foreign_folder
    from builder.system.outputs import refuse_unwritable

    for target in targets:
        refuse_unwritable(output / target.abi, needed=_RUNTIME_BYTES * len(targets))
        refuse_foreign_folder(output / target.abi, MANIFEST)
    if any(target.is_apple for target in targets):
        refuse_foreign_folder(output / FOLDER)
    if aar is not None and any(target.is_android for target in targets):
        _refuse_aar(output, aar)


def _refuse_aar(output: Path, aar: AarOptions) -> None:
    from builder.api.android import choose_coordinates
    from builder.api.sources import load_source_lock
    from builder.packaging.android.repository import REPOSITORY, refuse_foreign
    from builder.system.outputs import refuse_unwritable

    coordinates = choose_coordinates(aar, load_source_lock().version)
    refuse_unwritable(output / REPOSITORY / coordinates.folder / coordinates.version)
    refuse_foreign(coordinates, output)


def refuse_list(path: Path) -> None:
    """Raises ConfigurationError when an operator list cannot be written to `path`.

    What is there already must be a list that builder wrote.
    """
    from builder.oplists import is_own_list, refuse_other_name
    from builder.system.outputs import refuse_foreign_file, refuse_unwritable

    refuse_other_name(path)
    refuse_unwritable(path)
    refuse_foreign_file(path, is_own_list, "operator list that builder wrote")


def refuse_page(path: Path) -> None:
    """Raises ConfigurationError when a page of sizes cannot be written to `path`."""
    from builder.size.page import is_own_page
    from builder.system.outputs import refuse_foreign_file, refuse_unwritable

    refuse_unwritable(path)
    refuse_foreign_file(path, is_own_page, "page that builder wrote")


def refuse_model(path: Path, source: str) -> None:
    """Raises ConfigurationError when the lite file of `source` cannot be written to `path`.

    What is there already must be a lite file, and not the model that is read; what lies beside it
    under the name of a reference case must be one.
    """
    from builder.errors import ConfigurationError
    from builder.system.outputs import refuse_foreign_file, refuse_unwritable
    from builder.system.reference_headers import reference_path

    if path.exists() and Path(source).exists() and path.samefile(source):
        raise ConfigurationError(
            f"{path} is the model that is to be exported, and would be lost",
            hint="choose another file with -o",
        )
    refuse_unwritable(path)
    refuse_foreign_file(path, _is_lite, "lite file")
    refuse_foreign_file(reference_path(path), _is_reference, "reference case")


def _is_lite(path: Path) -> bool:
    from builder.errors import ModelError
    from builder.models.reading import read_model

    try:
        read_model(path)
    except ModelError:
        return False
    return True


def _is_reference(path: Path) -> bool:
    from builder.errors import VerificationError
    from builder.system.references import read_reference

    try:
        read_reference(path)
    except VerificationError:
        return False
    return True
