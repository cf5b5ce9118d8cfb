"""Where builder's own files and its caches are."""

from __future__ import annotations

import difflib
import os
from pathlib import Path

from builder.errors import ConfigurationError

_PACKAGE = Path(__file__).resolve().parent.parent


def data_folder(name: str) -> Path:
    """Returns a data folder of builder (`cmake`, `third_party`, `ops_lists`).

    They stand beside the package in a checkout and in `builder/data` once installed.
    """
    for root in (_PACKAGE / "data", _PACKAGE.parent):
        if (root / name).is_dir():
            return root / name
    raise ConfigurationError(f"builder's own folder {name!r} is missing", hint="reinstall builder")


def locate_licence() -> Path:
    """Returns the file with builder's own licence; it lies where the data folders do."""
    for root in (_PACKAGE / "data", _PACKAGE.parent):
        if (root / "LICENSE").is_file():
            return root / "LICENSE"
    raise ConfigurationError("builder's own file 'LICENSE' is missing", hint="reinstall builder")


def locate_op_list(name: str) -> Path:
    """Returns the operator list at `name`, or the one of that name that ships with builder.

    Raises:
        ConfigurationError: there is neither.
    """
    path = Path(name)
    if path.is_file():
        return path
    zoo = {shipped.stem: shipped for shipped in data_folder("ops_lists").glob("*.yaml")}
    if name in zoo:
        return zoo[name]
    near = ", ".join(difflib.get_close_matches(name, zoo, n=3) or sorted(zoo))
    raise ConfigurationError(
        f"no operator list {name!r}: neither a file nor one that ships with builder",
        hint=f"there are {near}; or write one: builder ops MODEL -o ops.yaml",
    )


def package_folder(name: str) -> Path:
    """Returns the folder of one of builder's own subpackages."""
    return _PACKAGE / name


def cache_folder() -> Path:
    """Returns the folder for sources and objects: BUILDER_CACHE, else the user's cache folder."""
    chosen = os.environ.get("BUILDER_CACHE")
    if chosen:
        return Path(chosen).absolute()
    import platformdirs

    return Path(platformdirs.user_cache_dir("builder"))
