"""Results that are there already: what may be replaced, before anything is done."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from builder.api.sources import load_source_lock
from builder.core.android import choose_coordinates
from builder.packaging.android.repository import REPOSITORY, refuse_foreign
from builder.packaging.apple.writing import FOLDER
from builder.packaging.outputs import MANIFEST, refuse_foreign_folder
from builder.system.outputs import refuse_unwritable

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
    for target in targets:
        refuse_unwritable(output / target.abi, needed=_RUNTIME_BYTES * len(targets))
        refuse_foreign_folder(output / target.abi, MANIFEST)
    if any(target.is_apple for target in targets):
        refuse_foreign_folder(output / FOLDER)
    if aar is not None and any(target.is_android for target in targets):
        _refuse_aar(output, aar)


def _refuse_aar(output: Path, aar: AarOptions) -> None:
    coordinates = choose_coordinates(aar, load_source_lock().version)
    refuse_unwritable(output / REPOSITORY / coordinates.folder / coordinates.version)
    refuse_foreign(coordinates, output)
