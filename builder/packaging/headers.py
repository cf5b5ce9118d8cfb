"""The headers of a runtime, which every package has."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from builder.system.folders import data_folder


def list_headers() -> Mapping[str, Path]:
    """Returns the path of each header below an include folder, and the file."""
    cmake = data_folder("cmake")
    return {
        "torchlite.h": cmake / "runtime/torchlite.h",
        "torchlite.hpp": cmake / "include/torchlite.hpp",
        "LibTorch-Lite/LibTorch-Lite.h": cmake / "include/LibTorch-Lite/LibTorch-Lite.h",
    }
