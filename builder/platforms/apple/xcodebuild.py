"""`xcodebuild -create-xcframework`, and its Info.plist in an order that does not change."""

from __future__ import annotations

import plistlib
from collections.abc import Iterable, Sequence
from pathlib import Path

from builder.errors import Hint, PackagingError, Run
from builder.system.files import write_atomically
from builder.system.process import Runner, failure_text


def create_xcframework(
    runner: Runner, libraries: Iterable[tuple[Path, Path]], folder: Path
) -> None:
    """Lets Xcode make the xcframework `folder`, which does not exist yet.

    Args:
        runner: its environment chooses Xcode (DEVELOPER_DIR).
        libraries: for each slice a static library and a folder of headers.
        folder: ends in `.xcframework`.

    Raises:
        PackagingError: Xcode refuses.
    """
    words = [
        word
        for library, headers in libraries
        for word in ("-library", str(library), "-headers", str(headers))
    ]
    command = ("xcodebuild", "-create-xcframework", *words, "-output", str(folder))
    completed = runner.run(command)
    if completed.returncode != 0:
        raise PackagingError(
            failure_text("xcodebuild -create-xcframework", completed, log=None),
            hint=Hint(
                Run("doctor"),
                " says which Xcode this is; xcodebuild -runFirstLaunch sets it up",
            ),
        )


def sort_info(folder: Path, paths: Sequence[str]) -> None:
    """Sorts what Info.plist lists: Xcode's order of slices is another one each time.

    Args:
        folder: an xcframework.
        paths: of the libraries in it, as they are expected.

    Raises:
        PackagingError: Xcode laid it out otherwise.
    """
    info = plistlib.loads((folder / "Info.plist").read_bytes())
    slices = sorted(info["AvailableLibraries"], key=lambda one: str(one["LibraryIdentifier"]))
    found = [f"{one['LibraryIdentifier']}/{one['LibraryPath']}" for one in slices]
    # The manifest names these paths, so another layout must not pass unseen.
    if sorted(found) != sorted(paths):
        raise PackagingError(
            f"Xcode put the libraries in {', '.join(found)}, not in {', '.join(sorted(paths))}"
        )
    # The rest stays as Xcode wrote it.
    ordered = plistlib.dumps(info | {"AvailableLibraries": slices}, sort_keys=True)
    write_atomically(folder / "Info.plist", ordered)
