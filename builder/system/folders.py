"""Locates builder's own files and its cache."""

from __future__ import annotations

import os
from pathlib import Path

from builder.errors import ConfigurationError

_PACKAGE = Path(__file__).resolve().parent.parent


def data_folder(name: str) -> Path:
    """Returns a data folder of builder (`cmake`, `third_party`, `ops_lists`).

    The data folders are next to the package in a checkout, and in `builder/data` when installed.
    """
    for root in (_PACKAGE / "data", _PACKAGE.parent):
        if (root / name).is_dir():
            return root / name
    raise ConfigurationError(f"builder's own folder {name!r} is missing", hint="reinstall builder")


def locate_licence() -> Path:
    """Returns the file with builder's own licence, which is next to the data folders."""
    for root in (_PACKAGE / "data", _PACKAGE.parent):
        if (root / "LICENSE").is_file():
            return root / "LICENSE"
    raise ConfigurationError("builder's own file 'LICENSE' is missing", hint="reinstall builder")


def package_folder(name: str) -> Path:
    """Returns the folder of a subpackage of builder."""
    return _PACKAGE / name


def cache_folder() -> Path:
    """Returns the folder for sources and objects: BUILDER_CACHE, or else the user's cache."""
    chosen = os.environ.get("BUILDER_CACHE")
    if chosen:
        # Commands run in other folders, where a relative path would mean another place.
        return Path(chosen).absolute()
    # Most commands do not need the cache, and BUILDER_CACHE makes the import needless in CI.
    import platformdirs

    return Path(platformdirs.user_cache_dir("builder"))
