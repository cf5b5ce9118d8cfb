"""What tests of writing files and folders ask of them."""

from __future__ import annotations

import stat


def write_half_and_stop(path, error: type[BaseException]) -> None:
    path.write_text("half")
    raise error


def mode(path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def names(folder) -> list[str]:
    return sorted(path.name for path in folder.iterdir())
