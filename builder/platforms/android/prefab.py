"""The part of an AAR that C++ users link against: https://google.github.io/prefab, schema 2.

An AAR with it serves `find_package(TorchLite)` and the target `TorchLite::torchlite`, as the Linux
package does.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path

from builder.core.plan import JNI_SONAME
from builder.platforms.android.package import AndroidLibrary, Prefab

_PACKAGE = "TorchLite"
_MODULE = "prefab/modules/torchlite"


def list_prefab(
    prefab: Prefab, libraries: Iterable[AndroidLibrary], min_api: int
) -> dict[str, Path | bytes]:
    """Returns the files of the folder `prefab` by their path in the AAR."""
    contents: dict[str, Path | bytes] = {
        "prefab/prefab.json": _render(dependencies=[], name=_PACKAGE, schema_version=2),
        f"{_MODULE}/module.json": _render(
            export_libraries=[], library_name=JNI_SONAME.removesuffix(".so")
        ),
        **{f"{_MODULE}/include/{name}": path for name, path in prefab.headers.items()},
    }
    for library in libraries:
        # The names of folders and keys are those of prefab's schema 2.
        folder = f"{_MODULE}/libs/android.{library.abi}"
        contents[f"{folder}/{JNI_SONAME}"] = library.library
        contents[f"{folder}/abi.json"] = _render(
            abi=library.abi, api=min_api, ndk=prefab.ndk, static=False, stl=prefab.stl
        )
    return contents


def _render(**fields: object) -> bytes:
    return (json.dumps(fields, indent=2, sort_keys=True) + "\n").encode()
